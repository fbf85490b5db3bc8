// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {IClock} from "../../contracts/interfaces/IClock.sol";
import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {FalseToken, HookToken, MockToken} from "../../contracts/mocks/HostileTokens.sol";
import {CourtScenes} from "./support/CourtScenes.sol";
import {IDeployedCourt} from "./support/Deployments.sol";

// who may move what
// ├── constructor: JUDGES 1 … 15, WRONG_BPS 1 … 10,000, the registry's clock; the market is the registry's
// ├── postCase, forfeit, markWrong: the Court alone
// ├── forfeit: all that is immature and nothing else, of both buckets; 0 when there is nothing; once
// └── assign: what the caller is owed, to anybody; never more; nothing is made or lost
contract CourtAccessTest is CourtScenes {
    function _expectBad(string memory name, uint256 min, uint256 max, uint256 actual) private {
        vm.expectRevert(abi.encodeWithSelector(IClock.BadParameter.selector, name, min, max, actual));
    }

    function test_constructor__court__relationsAtTheirEdges() public {
        _expectBad("JUDGES", 1, 15, 0);
        _newCourt(registry, ledger, 0, 5_000);
        _expectBad("JUDGES", 1, 15, 16);
        _newCourt(registry, ledger, 16, 5_000);
        _expectBad("WRONG_BPS", 1, 10_000, 0);
        _newCourt(registry, ledger, 5, 0);
        _expectBad("WRONG_BPS", 1, 10_000, 10_001);
        _newCourt(registry, ledger, 5, 10_001);
        IDeployedCourt least = _newCourt(registry, ledger, 1, 1);
        IDeployedCourt most = _newCourt(registry, ledger, 15, 10_000);
        assertEq(uint256(least.JUDGES()) << 16 | least.WRONG_BPS(), 1 << 16 | 1, "least");
        assertEq(uint256(most.JUDGES()) << 16 | most.WRONG_BPS(), 15 << 16 | 10_000, "most");
        assertEq(uint256(most.EPOCH_BLOCKS()) << 16 | most.RING() << 8 | most.LEAD(), 10 << 16 | 128 << 8 | 4, "clock");
        assertEq(court.market(), address(market), "the registry's market");
        assertEq(registry.court(), address(court), "and the registry's court");
        assertEq(market.court(), address(court), "which is the market's");
        assertEq(court.BURNED(), BURNED, "dead address");
    }

    // --- the Court alone ------------------------------------------------------------------------------------------

    function test_wired__byAnybodyElse__reverts() public {
        _truthSettled();
        address[5] memory callers = [stranger, owner, operator, address(ledger), address(registry)];
        for (uint256 i; i < callers.length; ++i) {
            vm.startPrank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotCourt.selector, callers[i]));
            market.postCase(job, SHARD, 5, 4);
            vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotCourt.selector, callers[i]));
            market.forfeit(_node(1));
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotCourt.selector, callers[i]));
            ledger.markWrong(_node(1), 1);
            vm.stopPrank();
        }
    }

    // --- forfeit --------------------------------------------------------------------------------------------------

    function _forfeit(NodeId node) private returns (uint256 amount) {
        vm.prank(address(court));
        amount = market.forfeit(node);
    }

    function test_forfeit__nothingImmature__takesNothing() public {
        assertEq(_forfeit(_node(1)), 0, "never earned");
        assertEq(_forfeit(_node(77)), 0, "never was");
        _fortune(500);
        assertEq(_forfeit(_node(1)), 500, "earned");
        assertEq(_forfeit(_node(1)), 0, "once");
        assertEq(market.owedTo(address(court)), 500, "owed to the Court");
    }

    /// @dev Pay of three buckets: the oldest has matured and stays, the two younger go.
    function test_forfeit__buckets__takesTheTwoYounger() public {
        _rollTo((_epoch() / shape.ring + 1) * shape.ring);
        _fortune(100);
        _rollTo((_epoch() / shape.ring + 1) * shape.ring);
        _fortune(20);
        _rollTo((_epoch() / shape.ring + 1) * shape.ring - 1);
        uint256 id = vm.snapshotState();
        assertEq(_forfeit(_node(1)), 120, "the last epoch of the younger bucket");
        vm.revertToState(id);
        _rollTo(_epoch() + 1);
        assertEq(_forfeit(_node(1)), 20, "the first epoch in which the older has matured");
        assertEq(_matured(_node(1)), 100, "which stays");
        _fortune(3);
        assertEq(_maturing(_node(1)), 3, "a clean word");
        market.withdraw(_node(1));
        assertEq(payToken.balanceOf(operator), 100, "paid");
    }

    // --- assign ---------------------------------------------------------------------------------------------------

    function test_assign__owed__movesIt() public {
        _truthSettled();
        uint256 fee = 2 * PAY / 100;
        assertEq(market.owedTo(stranger), fee, "scene: the settler's fee");
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.OutOfRange.selector, "amount", 0, 0, 1));
        market.assign(stranger, 1);
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.OutOfRange.selector, "amount", 0, fee, fee + 1));
        market.assign(rival, fee + 1);
        market.assign(rival, 0);
        assertEq(market.owedTo(stranger), fee, "nothing moves nothing");
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.Assigned(stranger, rival, 100);
        market.assign(rival, 100);
        market.assign(stranger, fee - 100); // to himself
        assertEq(market.owedTo(stranger), fee - 100, "the rest");
        market.assign(accuser, fee - 100);
        vm.stopPrank();
        assertEq(market.owedTo(stranger), 0, "all");
        assertEq(market.owedTo(rival), 100, "to the one");
        assertEq(market.owedTo(accuser), fee - 100, "and the other");
        market.collect(rival);
        assertEq(payToken.balanceOf(rival), 100, "collected");
        vm.expectRevert(IJobMarket.NothingToWithdraw.selector);
        market.collect(stranger);
        _assertSolvent();
    }

    /// @dev Money sent to the Court by mistake is lost to the sender and changes no case.
    function test_assign__toTheCourt__changesNoCase() public {
        _lieSettled();
        vm.prank(stranger);
        market.assign(address(court), 300);
        _ruled(TRUTH);
        assertEq(market.owedTo(accuser), 2 * PAY, "what was forfeited");
        assertEq(market.owedTo(address(court)), 300, "what was given stays");
    }
}

// a token that turns hostile after the post
// ├── answers false: the appeal reverts, nothing is left behind, later it goes through
// └── calls back while the bond moves: into appeal, refused; into collect, so that less arrives: WrongTransfer
contract CourtTokensTest is CourtScenes {
    bool private hooks;

    function _payToken() internal override returns (address) {
        MockToken token = hooks ? MockToken(address(new HookToken())) : MockToken(address(new FalseToken()));
        token.mint(requester, 1e24);
        return address(token);
    }

    function test_appeal__tokenAnswersFalse__leavesNothingBehind() public {
        _lieSettled();
        FalseToken(address(payToken)).refuse(true);
        vm.prank(accuser);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(payToken)));
        court.appeal(job, SHARD, receipt);
        _assertCase(ShardStatus.NONE, 0, 0, "no case");
        FalseToken(address(payToken)).refuse(false);
        _ruled(TRUTH);
        _assertOwed(2 * PAY, 0, 0, "goes through");
    }

    function test_appeal__tokenCallsBack__nobodyGains() public {
        hooks = true;
        setUp();
        _lieSettled();
        HookToken token = HookToken(address(payToken));
        token.arm(address(court), abi.encodeCall(ICourt.appeal, (job, SHARD, receipt)));
        uint256 id = vm.snapshotState();
        _appeal();
        assertEq(token.calls(), 1, "called back");
        assertFalse(token.succeeded(), "refused");
        assertEq(
            bytes32(bytes4(token.answer())),
            bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
            "by the guard"
        );
        assertEq(_held(caseJob), BOND, "one bond");
        vm.revertToState(id);
        token.arm(address(market), abi.encodeCall(IJobMarket.collect, (stranger)));
        uint256 fee = 2 * PAY / 100;
        vm.prank(accuser);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.WrongTransfer.selector, BOND, BOND - fee));
        court.appeal(job, SHARD, receipt);
    }
}
