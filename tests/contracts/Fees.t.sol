// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {Scenes} from "./support/Scenes.sol";

// setProtocolFee
// ├── by its role: says so, jobs from now on carry it, jobs before do not
// ├── at most 10 %, the edge itself is accepted
// ├── a fee without a recipient is refused, none without one is not
// └── removed while jobs still owe one: what they pay is not lost
// splits of one settled shard
// ├── members, settler, protocol, requester: the sum is the escrow, to the unit
// ├── fees are shares of what is paid, rounded down a shard; what rounding leaves is the requester's
// ├── prices so small that every fee rounds to nothing
// └── the fee goes to who is the recipient when it settles
// always
// ├── property 19, property 2: any job, manners and fees: paid + fees + refunded = escrow
// ├── property 15: any sequence of dust-sized jobs, cancels and claims: the group of all of them gains nothing
// └── property 1: the market's balance is what it owes, plus what was given to it
contract FeesTest is Scenes {
    address internal treasury = _actor("treasury");

    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    function _setFee(uint16 bps, address recipient) internal {
        vm.prank(owner);
        market.setProtocolFee(bps, recipient);
    }

    function _everyone() internal view returns (address[] memory all) {
        all = new address[](6);
        (all[0], all[1], all[2], all[3]) = (requester, operator, stranger, treasury);
        (all[4], all[5]) = (rival, owner);
    }

    function _assertSolvent(uint256 donated) internal view {
        assertEq(payToken.balanceOf(address(market)), _marketOwes(_everyone()) + donated, "balance is what is owed");
    }

    // --- setting it -----------------------------------------------------------------------------------------------

    function test_setProtocolFee__byItsRole__countsFromNowOn() public {
        JobId before = _post(_spec());
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.ProtocolFeeSet(1_000, treasury);
        _setFee(1_000, treasury);
        JobId afterwards = _post(_spec());
        assertEq(market.jobView(before).protocolFeeBps, 0, "before");
        assertEq(market.jobView(afterwards).protocolFeeBps, 1_000, "from now on");
        Answer[] memory answers = _join(_one(_answer(before, 0, 0)), _one(_answer(afterwards, 0, 0)));
        _play(answers);
        assertEq(_settle(answers), 2, "both settle");
        assertEq(market.owedTo(treasury), 3_600, "ten percent of one of them");
        _assertSolvent(0);
    }

    function test_setProtocolFee__outOfRange__reverts() public {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.OutOfRange.selector, "protocolFeeBps", 0, 1_000, 1_001));
        market.setProtocolFee(1_001, treasury);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.OutOfRange.selector, "recipient", 1, type(uint160).max, 0));
        market.setProtocolFee(1, address(0));
        _setFee(0, address(0));
    }

    function test_setProtocolFee__recipientChanged__theNewOneEarns() public {
        _setFee(500, treasury);
        JobId job = _post(_spec());
        _setFee(0, rival);
        _play(_answer(job, 0, 0));
        _settle(_one(_answer(job, 0, 0)));
        assertEq(market.owedTo(treasury), 0, "the old one");
        assertEq(market.owedTo(rival), 1_800, "five percent, as posted");
        _assertSolvent(0);
    }

    function test_setProtocolFee__removedWhileJobsOweOne__theirFeeIsNotLost() public {
        _setFee(500, treasury);
        JobId job = _post(_spec());
        vm.prank(owner);
        try market.setProtocolFee(0, address(0)) {} catch {}
        _play(_answer(job, 0, 0));
        _settle(_one(_answer(job, 0, 0)));
        assertEq(market.owedTo(address(0)), 0, "nobody can collect what is owed to nobody");
        _assertSolvent(0);
    }

    // --- one split ------------------------------------------------------------------------------------------------

    function test_settle__fees__areSharesOfWhatIsPaid() public {
        _setFee(123, treasury);
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize, spec.units, spec.unitPrice) = (3, 7, 17, 59);
        JobId job = _post(spec);
        uint256 gross = uint256(3) * 3 * 17 * 59;
        uint256 escrow = gross + gross / 100 + gross * 123 / 10_000;
        assertEq(_held(job), escrow, "escrow");
        mannerOf[_node(3)] = Manner.WRONG;
        _play(_answer(job, 0, 0));
        _settle(_one(_answer(job, 0, 0)));
        uint256 paid = gross * 2 / 3;
        assertEq(_matured(_node(1)) + _matured(_node(2)), paid, "two members");
        assertEq(market.owedTo(stranger), paid / 100, "the settler");
        assertEq(market.owedTo(treasury), paid * 123 / 10_000, "the protocol");
        assertEq(_held(job), escrow - paid - paid / 100 - paid * 123 / 10_000, "the rest is the requester's");
        _assertSolvent(0);
    }

    function test_settle__dust__feesRoundToNothing() public {
        _setFee(1_000, treasury);
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.pace, spec.units, spec.unitPrice) = (40, 2, 1, 1);
        JobId job = _post(spec);
        assertEq(_held(job), 120 + 1 + 12, "fees of the whole");
        for (uint256 shard; shard < 40; shard += 2) {
            _play(_answers(job, shard, 2));
            _settle(_answers(job, shard, 2));
        }
        assertEq(market.owedTo(stranger), 0, "one percent of three is nothing");
        assertEq(market.owedTo(treasury), 0, "ten percent of three too");
        assertEq(_held(job), 13, "all of it stays the requester's");
        _rollTo(market.jobView(job).closableFrom);
        assertEq(market.close(job), 13, "and comes back");
        _assertSolvent(0);
    }

    // --- always ---------------------------------------------------------------------------------------------------

    /// @dev Property 19 (and 2): the parts sum to the whole, whoever answers how.
    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: deep.fuzz.runs = 1000
    function testFuzz_property19__anyJob__splitsSumToTheEscrow(
        uint64 price,
        uint8 tasks,
        uint8 size,
        uint16 feeBps,
        uint16 manners,
        bool cancels
    ) public {
        _setFee(uint16(bound(feeBps, 0, 1_000)), treasury);
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize) = (uint32(bound(tasks, 1, 9)), uint24(bound(size, 1, 4)));
        (spec.pace, spec.units, spec.unitPrice) = (2, 1, uint64(bound(price, 1, 1e10)));
        JobId job = _post(spec);
        uint256 escrow = _held(job);
        for (uint256 n = 1; n <= 3; ++n) {
            mannerOf[_node(n)] = Manner(manners >> (3 * n) & 7 > 4 ? 0 : manners >> (3 * n) & 7);
        }
        if (cancels) {
            vm.prank(requester);
            try market.cancel(job) {} catch {}
        }
        uint256 shards = (uint256(market.jobView(job).tasks) + spec.shardSize - 1) / spec.shardSize;
        uint256 fees;
        uint256 paid;
        for (uint256 s; s < shards; s += 2) {
            Answer[] memory two = _answers(job, s, shards - s < 2 ? 1 : 2);
            _play(two);
            _rollTo(_epoch() + 1);
            for (uint256 i; i < two.length; ++i) {
                uint256 members = _ones(_paidSlots(two[i]));
                if (members < 2) continue;
                _settle(_one(two[i]));
                uint256 left = market.jobView(job).tasks - (s + i) * spec.shardSize;
                uint256 part = spec.unitPrice * (left < spec.shardSize ? left : spec.shardSize) * members;
                paid += part;
                fees += part / 100 + part * market.jobView(job).protocolFeeBps / 10_000;
            }
        }
        assertEq(_matured(_node(1)) + _matured(_node(2)) + _matured(_node(3)), paid, "members");
        assertEq(market.owedTo(stranger) + market.owedTo(treasury), fees, "fees");
        _rollTo(market.jobView(job).closableFrom);
        if (_held(job) != 0) market.close(job);
        assertEq(paid + fees + market.owedTo(requester), escrow, "paid + fees + refunded = escrow");
        _assertSolvent(0);
    }

    /// @dev Property 15: one group plays every part, in the smallest money there is; together it never has more.
    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: deep.fuzz.runs = 1000
    function testFuzz_property15__dustSizedActions__groupGainsNothing(uint8[6] memory acts, uint16 feeBps) public {
        _setFee(uint16(bound(feeBps, 0, 1_000)), treasury);
        uint256 group = _groupsMoney();
        for (uint256 i; i < acts.length; ++i) {
            IJobMarket.JobSpec memory spec = _spec();
            (spec.tasks, spec.shardSize) = (uint32(1 + acts[i] % 7), uint24(1 + acts[i] % 3));
            (spec.pace, spec.units, spec.unitPrice) = (1, 1, uint64(1 + acts[i] % 5));
            JobId job = _post(spec);
            if (acts[i] & 8 != 0) {
                vm.prank(requester);
                try market.cancel(job) {} catch {}
            }
            Answer memory answer = _answer(job, 0, 0);
            _play(answer);
            _rollTo(_epoch() + 1);
            if (acts[i] & 16 != 0) {
                _settle(_one(answer));
            } else if (acts[i] & 32 != 0) {
                _send(_planWithout(answer, 1), operator);
                bytes memory opening = _claimOpening(answer, _member(_id(job), 0, 0, 0));
                market.claim(job, 0, _receipt(answer, 6), 0, opening);
            }
            if (acts[i] & 64 != 0) {
                _rollTo(market.jobView(job).closableFrom);
                if (_held(job) != 0) market.close(job);
            }
            assertLe(_groupsMoney(), group, "nobody gains by dust");
            _takeAll();
            assertLe(_groupsMoney(), group, "nor by taking it out");
            _assertSolvent(0);
        }
        _rollTo(_epoch() + 200);
        for (uint64 j = 1; j <= market.jobCount(); ++j) {
            if (_held(_job(j)) != 0) market.close(_job(j));
        }
        _takeAll();
        assertEq(_groupsMoney(), group, "in the end it has what it had");
        assertEq(payToken.balanceOf(address(market)), 0, "and the market nothing");
    }

    function _takeAll() private {
        address[] memory all = _everyone();
        for (uint256 i; i < all.length; ++i) {
            if (market.owedTo(all[i]) != 0) market.collect(all[i]);
        }
        for (uint256 n = 1; n <= 3; ++n) {
            if (_matured(_node(n)) != 0) market.withdraw(_node(n));
        }
    }

    /// @dev Tokens of everybody, and what the market owes to nodes and accounts; escrow held is not theirs again yet.
    function _groupsMoney() private view returns (uint256 total) {
        address[] memory all = _everyone();
        for (uint256 i; i < all.length; ++i) {
            total += payToken.balanceOf(all[i]) + market.owedTo(all[i]);
        }
        for (uint256 n = 1; n <= 3; ++n) {
            total += _matured(_node(n));
        }
    }

    /// @dev Property 1: what is given to the market belongs to nobody and lends nobody anything.
    function testFuzz_property1__donations__changeNothing(uint64 donation) public {
        vm.prank(requester);
        payToken.transfer(address(market), donation);
        (JobId job,,) = _settledJob(_spec());
        _assertSolvent(donation);
        for (uint256 n = 1; n <= 3; ++n) {
            market.withdraw(_node(n));
        }
        market.collect(stranger);
        assertEq(_held(job), 0, "spent");
        assertEq(payToken.balanceOf(address(market)), donation, "only the gift is left");
    }
}
