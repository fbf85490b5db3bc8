// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {HostileOperator, PlainOperator} from "../../contracts/mocks/ContractOperators.sol";
import {Erc777Token, MockToken} from "../../contracts/mocks/HostileTokens.sol";
import {CourtScenes} from "./support/CourtScenes.sol";

// an operator that is a contract, paid in a token that tells it so
// ├── a plain one owns a node, posts, withdraws, appeals with its allowance, collects, leaves: as any account
// └── a hostile one
//     ├── refuses what it is paid: nobody else waits, and it is paid when it takes it
//     ├── refuses to pay its bond: no case
//     ├── calls back while it is paid: stopped by the guard, paid once
//     └── calls back while its bond moves: into appeal, refused; into what moves the market's money, WrongTransfer
contract OperatorContractsTest is CourtScenes {
    PlainOperator private wallet;
    NodeId private own;
    bytes32 private fork;

    function setUp() public override {
        super.setUp();
        _own(new PlainOperator());
    }

    function _payToken() internal override returns (address) {
        MockToken token = new Erc777Token();
        token.mint(requester, 1e24);
        return address(token);
    }

    /// @dev So that a scene finds a draw in which the contract's node sits where it wants it.
    function _randao(uint256 epoch) internal view override returns (bytes32) {
        return keccak256(abi.encode(super._randao(epoch), fork));
    }

    // --- scenes ---------------------------------------------------------------------------------------------------

    /// @dev Registers a node by the contract itself, which then has stake for no second one.
    function _own(PlainOperator wallet_) private {
        wallet = wallet_;
        vm.prank(owner);
        stakeToken.transfer(address(wallet), shape.seatStake);
        wallet.execute(address(stakeToken), abi.encodeCall(stakeToken.approve, (address(registry), shape.seatStake)));
        uint256 secret = _secret();
        bytes memory consent = _consent(secret, address(wallet), block.timestamp);
        bytes memory answer = wallet.execute(
            address(registry),
            abi.encodeCall(registry.register, (pool, 1, vm.addr(secret), block.timestamp, consent, "", bytes32(0)))
        );
        own = abi.decode(answer, (NodeId));
        (secretOf[own], keyOf[own]) = (secret, vm.addr(secret));
        _rollTo(_counting() + 1);
    }

    function _hostile() private returns (HostileOperator hostile) {
        hostile = new HostileOperator();
        _own(hostile);
        hostile.execute(address(payToken), abi.encodeCall(Erc777Token.hook, (true)));
    }

    /// @dev The job of `spec` settles with `root`, with the contract's node in `slot`.
    function _settledWith(IJobMarket.JobSpec memory spec, uint256 slot, bytes32[] memory roots, bytes32 root) private {
        job = _post(spec);
        while (_committee(_id(job), SHARD, 0)[slot] != _id(own)) {
            fork = keccak256(abi.encode(fork));
        }
        _answerWith(job, SHARD, 0, roots);
        (settled, receipt) = _settleAs(job, SHARD, 0, root, 0);
    }

    /// @dev Settled and paid at once: the contract's node, in slot 0, and two others.
    function _paidAtOnce() private {
        IJobMarket.JobSpec memory spec = _spec();
        spec.appealEpochs = 0;
        _settledWith(spec, 0, _mix(3, 3, TRUTH, TRUTH), TRUTH);
        assertEq(_matured(own), PAY, "scene: earned");
    }

    /// @dev A settled lie, which the contract's node in slot 2 knows better; the contract has the bond.
    function _readyToAppeal() private {
        _settledWith(_spec(), 2, _mix(3, 2, LIE, TRUTH), LIE);
        vm.prank(requester);
        payToken.transfer(address(wallet), BOND);
        wallet.execute(address(payToken), abi.encodeCall(payToken.approve, (address(court), BOND)));
    }

    function _appealByKey() private {
        vm.prank(keyOf[own]);
        caseJob = court.appeal(job, SHARD, receipt);
    }

    // --- plain ----------------------------------------------------------------------------------------------------

    function test_operator__plainContract__worksEarnsAppealsAndLeaves() public {
        _readyToAppeal();
        _appealByKey();
        assertEq(court.caseOf(job, SHARD).accuser, address(wallet), "the contract accuses");
        assertEq(payToken.balanceOf(address(wallet)), 0, "by its allowance");
        _judged(TRUTH);
        _resolve();
        market.claim(job, SHARD, receipt, 2, _ownOpening(job, SHARD, 0, TRUTH, own));
        assertEq(market.withdraw(own), PAY, "its pay");
        assertEq(market.collect(address(wallet)), 2 * PAY, "what the liars had");
        assertEq(payToken.balanceOf(address(wallet)), 3 * PAY, "in its hands");
        for (uint8 slot; slot < 2; ++slot) {
            court.reportWrong(job, SHARD, 0, slot, LIE, _ownOpening(job, SHARD, 0, LIE, _seat(slot)));
        }
        assertEq(registry.collectReward(address(wallet)), 100 ether, "two tenths of two halves");
        wallet.execute(address(registry), abi.encodeCall(registry.leaveSeats, (own, 1)));
        _rollTo(_epoch() + registry.UNBONDING());
        registry.withdrawStake(own);
        assertEq(stakeToken.balanceOf(address(wallet)), 1_000 ether + 100 ether, "its stake");
    }

    function test_requester__plainContract__postsClosesAndCollects() public {
        uint256 escrow = market.quoteEscrow(_spec());
        vm.prank(requester);
        payToken.transfer(address(wallet), escrow);
        wallet.execute(address(payToken), abi.encodeCall(payToken.approve, (address(market), escrow)));
        wallet.execute(address(market), abi.encodeCall(market.post, (_spec())));
        job = _job(market.jobCount());
        assertEq(payToken.balanceOf(address(wallet)), 0, "escrowed");
        _rollTo(market.jobView(job).closableFrom);
        market.close(job);
        assertEq(market.collect(address(wallet)), escrow, "refunded");
        assertEq(payToken.balanceOf(address(wallet)), escrow, "to the contract");
    }

    // --- refuses --------------------------------------------------------------------------------------------------

    function test_withdraw__operatorRefusesTokens__onlyItWaits() public {
        HostileOperator hostile = _hostile();
        hostile.refuse(true);
        _paidAtOnce();
        vm.expectRevert(abi.encodeWithSelector(HostileOperator.Refused.selector, PAY));
        market.withdraw(own);
        market.withdraw(_seat(1));
        market.withdraw(_seat(2));
        assertEq(payToken.balanceOf(operator), 2 * PAY, "the others are paid");
        assertEq(_matured(own), PAY, "its own stays");
        _rollTo(market.jobView(job).closableFrom);
        market.close(job);
        hostile.refuse(false);
        assertEq(market.withdraw(own), PAY, "until it takes it");
        assertEq(payToken.balanceOf(address(hostile)), PAY, "once");
    }

    function test_appeal__operatorRefusesItsBond__leavesNothingBehind() public {
        HostileOperator hostile = _hostile();
        _readyToAppeal();
        hostile.refuse(true);
        vm.prank(keyOf[own]);
        vm.expectRevert(abi.encodeWithSelector(HostileOperator.Refused.selector, BOND));
        court.appeal(job, SHARD, receipt);
        _assertCase(ShardStatus.NONE, 0, 0, "no case");
        _ruled(TRUTH); // anybody else appeals
        _assertOwed(2 * PAY, 0, 0, "and is paid");
    }

    /// @dev An accuser that takes nothing stops neither the verdict nor the others' money.
    function test_resolve__accuserRefusesTokens__goesThrough() public {
        HostileOperator hostile = _hostile();
        _readyToAppeal();
        _appealByKey();
        hostile.refuse(true);
        _judged(TRUTH);
        _resolve();
        assertEq(market.withdraw(_judge(0)), PAY, "judges are paid");
        vm.expectRevert(abi.encodeWithSelector(HostileOperator.Refused.selector, 2 * PAY));
        market.collect(address(hostile));
        hostile.refuse(false);
        assertEq(market.collect(address(hostile)), 2 * PAY, "when it takes it");
    }

    // --- calls back -----------------------------------------------------------------------------------------------

    function _assertGuarded(HostileOperator hostile, string memory why) private view {
        assertEq(hostile.calls(), 1, "it called back");
        assertFalse(hostile.succeeded(), why);
        assertEq(
            hostile.answer(),
            abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
            "by the guard"
        );
    }

    function test_withdraw__operatorCallsBack__isStoppedAndPaidOnce() public {
        HostileOperator hostile = _hostile();
        _paidAtOnce();
        bytes[4] memory attempts = [
            abi.encodeCall(IJobMarket.withdraw, (own)),
            abi.encodeCall(IJobMarket.withdraw, (_seat(1))),
            abi.encodeCall(IJobMarket.collect, (stranger)),
            abi.encodeCall(IJobMarket.post, (_spec()))
        ];
        uint256 id = vm.snapshotState();
        for (uint256 i; i < 4; ++i) {
            hostile.arm(address(market), attempts[i]);
            market.withdraw(own);
            _assertGuarded(hostile, "while it is paid");
            assertEq(payToken.balanceOf(address(hostile)), PAY, "once");
            assertEq(_matured(_seat(1)), PAY, "others untouched");
            vm.revertToState(id);
        }
    }

    function test_appeal__operatorCallsBackIntoAppeal__isStopped() public {
        HostileOperator hostile = _hostile();
        _readyToAppeal();
        hostile.arm(address(court), abi.encodeCall(ICourt.appeal, (job, SHARD, receipt)));
        _appealByKey();
        _assertGuarded(hostile, "appeal in appeal");
        assertEq(_held(caseJob), BOND, "one bond");
    }

    /// @dev Money that comes or goes while the bond moves would be counted with it.
    function test_appeal__operatorMovesTheMarketsMoney__isRefused() public {
        HostileOperator hostile = _hostile();
        _readyToAppeal();
        hostile.arm(address(market), abi.encodeCall(IJobMarket.collect, (stranger)));
        vm.prank(keyOf[own]);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.WrongTransfer.selector, BOND, BOND - 2 * PAY / 100));
        court.appeal(job, SHARD, receipt);
        uint256 escrow = market.quoteEscrow(_spec());
        vm.prank(requester);
        payToken.transfer(address(hostile), escrow);
        hostile.execute(address(payToken), abi.encodeCall(payToken.approve, (address(market), escrow)));
        hostile.arm(address(market), abi.encodeCall(IJobMarket.post, (_spec())));
        vm.prank(keyOf[own]);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.WrongTransfer.selector, BOND, BOND + escrow));
        court.appeal(job, SHARD, receipt);
        assertEq(payToken.balanceOf(address(hostile)), BOND + escrow, "nothing is lost");
    }
}
