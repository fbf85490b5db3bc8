// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId} from "../../contracts/interfaces/Types.sol";
import {
    BlacklistToken,
    BonusToken,
    FalseToken,
    FeeToken,
    HookToken,
    IdleToken,
    MockToken,
    SilentToken,
    ZeroRevertToken
} from "../../contracts/mocks/HostileTokens.sol";
import {Scenes} from "./support/Scenes.sol";

// a market whose payment token
// ├── keeps a share of transfers, gives more, moves nothing: post refuses, WrongTransfer(expected, actual)
// ├── answers false: post and every payout revert, nothing is lost, later it pays
// ├── returns nothing: the whole story works
// ├── calls back: in post, withdraw and collect, into each of them and into the rest; nobody gains
// ├── refuses an account: only that account waits, and is paid later
// ├── refuses zero amounts: none is ever sent
// ├── has no permit: postWithPermit works from an allowance
// └── is no contract: post reverts
contract HostileTokensTest is Scenes {
    uint256 internal constant PAY = 12_000;
    uint256 internal constant PURSE = 1e18;

    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    /// @dev A market of its own for this token, over the same nodes and ledger.
    function _marketFor(address token) internal {
        market = _newMarket(address(authority), registry, ledger, token, address(0), _params());
        payToken = IERC20(token);
        if (token.code.length == 0) return;
        MockToken(token).mint(requester, PURSE);
        vm.prank(requester);
        MockToken(token).approve(address(market), type(uint256).max);
    }

    function _refused(bytes memory reason) internal {
        vm.prank(requester);
        vm.expectRevert(reason);
        market.post(_spec());
        assertEq(market.jobCount(), 0, "no job");
    }

    function _assertWrongTransfer(address token, uint256 actual) internal {
        _marketFor(token);
        uint256 quote = market.quoteEscrow(_spec());
        _refused(abi.encodeWithSelector(IJobMarket.WrongTransfer.selector, quote, actual));
        assertEq(payToken.balanceOf(requester), PURSE, "nothing is lost");
    }

    // --- what post refuses ----------------------------------------------------------------------------------------

    function test_post__feeOnTransfer__reverts() public {
        _assertWrongTransfer(address(new FeeToken(100)), 36_360 - 363);
        _assertWrongTransfer(address(new FeeToken(1)), 36_360 - 3);
    }

    function test_post__tokenGivesMore__reverts() public {
        _assertWrongTransfer(address(new BonusToken()), 36_361);
    }

    function test_post__tokenMovesNothing__reverts() public {
        _assertWrongTransfer(address(new IdleToken()), 0);
    }

    function test_post__tokenIsNoContract__reverts() public {
        _marketFor(_actor("nobody"));
        vm.prank(requester);
        vm.expectRevert();
        market.post(_spec());
        assertEq(market.jobCount(), 0, "no job");
    }

    // --- false ----------------------------------------------------------------------------------------------------

    function test_payouts__tokenAnswersFalse__nothingIsLost() public {
        FalseToken token = new FalseToken();
        _marketFor(address(token));
        bytes memory failed = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token));
        token.refuse(true);
        _refused(failed);
        token.refuse(false);
        _settledJob(_spec());
        token.refuse(true);
        vm.expectRevert(failed);
        market.withdraw(_node(1));
        vm.expectRevert(failed);
        market.collect(stranger);
        assertEq(_matured(_node(1)), PAY, "still there");
        assertEq(market.owedTo(stranger), 3 * PAY / 100, "still owed");
        token.refuse(false);
        assertEq(market.withdraw(_node(1)), PAY, "later it pays");
        assertEq(market.collect(stranger), 3 * PAY / 100, "and owes nothing");
    }

    // --- silent, zero, no permit ----------------------------------------------------------------------------------

    function _wholeStory() internal {
        JobId job = _post(_spec());
        mannerOf[_node(3)] = Manner.WRONG;
        _play(_answer(job, 0, 0));
        _settle(_one(_answer(job, 0, 0)));
        _rollTo(market.jobView(job).closableFrom);
        market.close(job);
        market.withdraw(_node(1));
        market.withdraw(_node(2));
        market.collect(stranger);
        market.collect(requester);
        assertEq(payToken.balanceOf(operator), 2 * PAY, "members");
        assertEq(payToken.balanceOf(stranger), 2 * PAY / 100, "settler");
        assertEq(payToken.balanceOf(requester), PURSE - 2 * PAY - 2 * PAY / 100, "requester");
        assertEq(payToken.balanceOf(address(market)), 0, "nothing stays");
    }

    function test_story__silentToken__works() public {
        _marketFor(address(new SilentToken()));
        _wholeStory();
    }

    function test_story__tokenThatRefusesZero__works() public {
        _marketFor(address(new ZeroRevertToken()));
        _wholeStory();
    }

    function test_postWithPermit__tokenWithoutPermit__postsFromAllowance() public {
        _marketFor(address(new MockToken(18)));
        vm.prank(requester);
        JobId job = market.postWithPermit(_spec(), block.timestamp, 27, bytes32(0), bytes32(0));
        assertEq(_held(job), 36_360, "held");
    }

    // --- one account refused --------------------------------------------------------------------------------------

    function test_payouts__accountRefused__onlyItWaits() public {
        BlacklistToken token = new BlacklistToken();
        _marketFor(address(token));
        JobId job = _post(_spec());
        mannerOf[_node(3)] = Manner.PASS;
        _play(_answer(job, 0, 0));
        _settle(_one(_answer(job, 0, 0)));
        token.block_(operator, true);
        token.block_(requester, true);
        vm.expectRevert(abi.encodeWithSelector(BlacklistToken.Blocked.selector, operator));
        market.withdraw(_node(1));
        market.collect(stranger);
        assertEq(payToken.balanceOf(stranger), 2 * PAY / 100, "others are paid");
        _rollTo(market.jobView(job).closableFrom);
        market.close(job); // a refund that cannot be sent does not stop the close
        vm.expectRevert(abi.encodeWithSelector(BlacklistToken.Blocked.selector, requester));
        market.collect(requester);
        token.block_(operator, false);
        token.block_(requester, false);
        assertEq(market.withdraw(_node(1)), PAY, "later");
        assertEq(market.collect(requester), PAY + PAY / 100, "later too");
    }

    // --- calls back -----------------------------------------------------------------------------------------------

    function _hooked() internal returns (HookToken token) {
        token = new HookToken();
        _marketFor(address(token));
        token.mint(address(token), PURSE);
        token.allow(address(market));
    }

    function _assertGuarded(HookToken token, string memory why) internal view {
        assertEq(token.calls(), 1, "it called back");
        assertFalse(token.succeeded(), why);
        assertEq(
            keccak256(token.answer()),
            keccak256(abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)),
            "by the guard"
        );
    }

    function test_post__callsBackIntoPost__isStopped() public {
        HookToken token = _hooked();
        token.arm(address(market), abi.encodeCall(market.post, (_spec())));
        _post(_spec());
        _assertGuarded(token, "post in post");
        assertEq(market.jobCount(), 1, "one job");
        assertEq(payToken.balanceOf(address(market)), 36_360, "one escrow");
    }

    function test_post__callsBackIntoPayouts__isStopped() public {
        HookToken token = _hooked();
        _settledJob(_spec());
        token.arm(address(market), abi.encodeCall(market.withdraw, (_node(1))));
        _post(_spec());
        _assertGuarded(token, "withdraw in post would hide what came");
        assertEq(_matured(_node(1)), PAY, "untouched");
    }

    function test_post__callsBackIntoCollect__isStopped() public {
        HookToken token = _hooked();
        _settledJob(_spec());
        token.arm(address(market), abi.encodeCall(market.collect, (stranger)));
        _post(_spec());
        _assertGuarded(token, "collect in post");
    }

    function test_withdraw__callsBackIntoWithdraw__isStopped() public {
        HookToken token = _hooked();
        _settledJob(_spec());
        token.arm(address(market), abi.encodeCall(market.withdraw, (_node(2))));
        market.withdraw(_node(1));
        _assertGuarded(token, "withdraw in withdraw");
        assertEq(_matured(_node(2)), PAY, "untouched");
        assertEq(payToken.balanceOf(operator), PAY, "paid once");
    }

    function test_collect__callsBackIntoCollect__isStopped() public {
        HookToken token = _hooked();
        _settledJob(_spec());
        token.arm(address(market), abi.encodeCall(market.collect, (stranger)));
        market.collect(stranger);
        _assertGuarded(token, "collect in collect");
        assertEq(payToken.balanceOf(stranger), 3 * PAY / 100, "paid once");
    }

    function test_withdraw__callsBackIntoClose__gainsNothing() public {
        HookToken token = _hooked();
        (JobId job, Answer memory answer,) = _settledJob(_spec());
        mannerOf[_node(3)] = Manner.PASS;
        job = _post(_spec());
        answer = _answer(job, 0, 0);
        _play(answer);
        _settle(_one(answer));
        _rollTo(market.jobView(job).closableFrom);
        uint256 held = _held(job);
        token.arm(address(market), abi.encodeCall(market.close, (job)));
        market.withdraw(_node(1));
        assertTrue(token.succeeded(), "it is allowed to");
        assertEq(market.owedTo(requester), held, "and changes nothing else");
        assertEq(
            payToken.balanceOf(address(market)),
            market.owedTo(requester) + market.owedTo(stranger) + _matured(_node(2)) + _matured(_node(3)),
            "balance is what is owed"
        );
    }

    function test_post__callsBackIntoItsOwnCancel__gainsNothing() public {
        HookToken token = _hooked();
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.pace) = (9, 1);
        // The hook itself is the requester, and cancels the job whose escrow is on its way.
        token.arm(address(market), abi.encodeCall(market.cancel, (_job(1))));
        uint256 quote = market.quoteEscrow(spec);
        vm.prank(address(token));
        market.post(spec);
        assertTrue(token.succeeded(), "it is the requester");
        assertEq(_held(_job(1)) + market.owedTo(address(token)), quote, "escrow and refund are what came");
        assertEq(payToken.balanceOf(address(market)), quote, "in tokens");
    }
}
