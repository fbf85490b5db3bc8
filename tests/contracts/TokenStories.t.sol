// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {BlacklistToken, MockToken, SilentToken, ZeroRevertToken} from "../../contracts/mocks/HostileTokens.sol";
import {CourtScenes} from "./support/CourtScenes.sol";

// the whole story, to the last unit and to an empty market: post, settle, withdraw; and post, appeal, resolve, claim
// ├── a token without decimals: whole tokens, dust to the requester
// ├── of six decimals, and one of 36 at the dearest shard there is
// ├── that returns nothing, or refuses zero amounts
// └── that refuses everybody at one time or another: nothing waits for them but their own money
contract TokenStoriesTest is CourtScenes {
    uint256 internal constant WEALTH = 1 << 100;

    MockToken private token;
    uint32 private units = 12;
    uint64 private unitPrice = 1_000;

    /// @dev The same scenes over this token at this price.
    function _over(MockToken token_, uint32 units_, uint64 unitPrice_) private {
        (token, units, unitPrice) = (token_, units_, unitPrice_);
        token.mint(requester, WEALTH);
        setUp();
    }

    function _payToken() internal override returns (address) {
        if (address(token) == address(0)) token = new MockToken(18);
        return address(token);
    }

    function _purse() internal override {
        token.mint(accuser, WEALTH);
        vm.prank(accuser);
        token.approve(address(court), type(uint256).max);
    }

    function _terms() internal view override returns (INodeRegistry.PoolTerms memory terms) {
        terms = super._terms();
        terms.maxShardPay = type(uint88).max / 17;
    }

    function _spec() internal view override returns (IJobMarket.JobSpec memory spec) {
        spec = super._spec();
        (spec.units, spec.unitPrice) = (units, unitPrice);
    }

    // --- the stories ----------------------------------------------------------------------------------------------

    /// @dev Fees round down, to nothing where the token is that coarse.
    function _collect(address account, uint256 amount) private {
        if (amount == 0) vm.expectRevert(IJobMarket.NothingToWithdraw.selector);
        market.collect(account);
    }

    function _withdrawAll() private {
        for (uint256 n = 1; n <= 10; ++n) {
            if (_matured(_node(n)) != 0) market.withdraw(_node(n));
        }
    }

    /// @dev `price` is that of a task: the shard has two, the job five for three members each.
    function _postSettleWithdraw(uint256 price) private {
        uint256 id = vm.snapshotState();
        _settled(_spec(), _mix(3, 3, TRUTH, TRUTH), TRUTH, 0);
        assertEq(_held(job), 15 * price + 15 * price / 100 - 6 * price - 6 * price / 100, "what is left of the escrow");
        _rollTo((_epoch() / shape.ring + 2) * shape.ring);
        market.close(job);
        _withdrawAll();
        _collect(stranger, 6 * price / 100);
        _collect(requester, 9 * price);
        assertEq(token.balanceOf(operator), 6 * price, "members");
        assertEq(token.balanceOf(stranger), 6 * price / 100, "settler");
        assertEq(token.balanceOf(requester), WEALTH - 6 * price - 6 * price / 100, "requester, dust included");
        assertEq(token.balanceOf(address(market)), 0, "nothing stays");
        vm.revertToState(id);
    }

    function _postAppealResolveClaim(uint256 price) private {
        uint256 id = vm.snapshotState();
        _lieSettled();
        _ruled(TRUTH);
        uint256 bond = 10 * price + 10 * price / 100;
        assertEq(token.balanceOf(accuser), WEALTH - bond, "the bond");
        bytes memory opening = _ownOpening(job, SHARD, 0, TRUTH, _seat(2));
        market.claim(job, SHARD, receipt, 2, opening);
        _rollTo(market.jobView(job).closableFrom);
        market.close(job);
        _withdrawAll();
        _collect(accuser, 4 * price);
        _collect(stranger, 4 * price / 100 + 10 * price / 100);
        _collect(requester, 9 * price);
        assertEq(token.balanceOf(operator), (10 + 2) * price, "judges and the member that was right");
        assertEq(token.balanceOf(accuser), WEALTH - bond + 4 * price, "all that the liars had");
        assertEq(token.balanceOf(stranger), 4 * price / 100 + 10 * price / 100, "settler of both");
        assertEq(token.balanceOf(requester), WEALTH - 6 * price - 4 * price / 100, "requester");
        assertEq(token.balanceOf(address(market)), 0, "nothing stays");
        vm.revertToState(id);
    }

    function _stories() private {
        uint256 price = uint256(units) * unitPrice;
        _postSettleWithdraw(price);
        _postAppealResolveClaim(price);
    }

    // --- decimals -------------------------------------------------------------------------------------------------

    function test_story__noDecimals__paysWholeTokens() public {
        _over(new MockToken(0), 1, 13);
        _stories();
        _over(new MockToken(0), 1, 1);
        _stories();
    }

    function test_story__sixDecimals__paysToTheUnit() public {
        _over(new MockToken(6), 12, 1_000);
        _stories();
    }

    /// @dev A full shard of three tasks costs all that any pool takes, but for what the units round away.
    function test_story__36Decimals__fitTheDearestShard() public {
        uint256 most = type(uint88).max / 17 / 3;
        _over(new MockToken(36), uint32(most / type(uint64).max), type(uint64).max);
        assertGt(uint256(units) * unitPrice, most - most / 100_000, "scene: nearly all");
        _stories();
        vm.prank(requester);
        vm.expectRevert(
            abi.encodeWithSelector(
                INodeRegistry.ShardPayTooHigh.selector, type(uint88).max / 17, uint256(units + 1) * unitPrice * 3
            )
        );
        ++units;
        market.post(_spec());
    }

    // --- manners --------------------------------------------------------------------------------------------------

    function test_story__silentOrZeroRefusingToken__isAppealedToo() public {
        _over(new SilentToken(), 12, 1_000);
        _stories();
        _over(new ZeroRevertToken(), 12, 1_000);
        _stories();
        _over(new ZeroRevertToken(), 1, 1); // fees round to nothing
        _stories();
    }

    /// @dev Everybody is refused from the settlement on: the case goes its way, and each is paid when he is not.
    function test_story__everybodyRefused__eachWaitsForHisOwnOnly() public {
        BlacklistToken list = new BlacklistToken();
        _over(list, 12, 1_000);
        _lieSettled();
        list.block_(accuser, true);
        vm.prank(accuser);
        vm.expectRevert(abi.encodeWithSelector(BlacklistToken.Blocked.selector, accuser));
        court.appeal(job, SHARD, receipt);
        list.block_(accuser, false);
        _appeal();
        address[4] memory parties = [accuser, requester, stranger, operator];
        for (uint256 i; i < 4; ++i) {
            list.block_(parties[i], true);
        }
        _judged(TRUTH);
        _resolve();
        NodeId judge = _judge(0);
        court.reportWrong(job, SHARD, 0, 0, LIE, _ownOpening(job, SHARD, 0, LIE, _seat(0)));
        market.claim(job, SHARD, receipt, 2, _ownOpening(job, SHARD, 0, TRUTH, _seat(2)));
        _rollTo(market.jobView(job).closableFrom);
        market.close(job);
        vm.expectRevert(abi.encodeWithSelector(BlacklistToken.Blocked.selector, operator));
        market.withdraw(judge);
        uint256[3] memory owed = [2 * PAY, 9 * PRICE + 15 * PRICE / 100 - 2 * PAY / 100, 7 * PAY / 100];
        for (uint256 i; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(BlacklistToken.Blocked.selector, parties[i]));
            market.collect(parties[i]);
            list.block_(parties[i], false);
            assertEq(market.collect(parties[i]), owed[i], "while the others still wait");
        }
        list.block_(operator, false);
        _withdrawAll();
        assertEq(token.balanceOf(operator), 6 * PAY, "five judges and the member that was right");
        assertEq(token.balanceOf(address(market)), 0, "nothing stays");
    }
}
