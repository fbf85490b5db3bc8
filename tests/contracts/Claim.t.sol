// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {SettleCalls} from "./support/SettleCalls.sol";
import {Scenes} from "./support/Scenes.sol";

// claim
// ├── a member whose opening matches and was not shown: paid at once, by anyone's call, once
// │   ├── of one leaf, of a leaf among others, of a later attempt, of one shard among many settled
// │   ├── without settle or protocol fee: those are refunded
// │   └── slots of the same word of claims do not touch each other
// ├── when
// │   ├── appealEpochs 0: from settlement, for REPORT_EPOCHS; the last block of the last epoch; then TooLate
// │   └── appealEpochs > 0: NotFinal until the window is over, then for REPORT_EPOCHS; withdrawable at once
// ├── refused
// │   ├── unknown job, shard that is not settled, receipt that is not the settled one
// │   ├── a slot that settle paid, or that was claimed
// │   ├── a slot beyond the committee, a void slot
// │   ├── a lane that is not open, or was opened after two epochs
// │   └── an opening of another leaf, of another node, cut, with more behind it, or of nothing
// └── any subset shown to settle: settle and claims together pay every matching slot once
contract ClaimTest is Scenes {
    uint256 internal constant PAY = 12_000;

    /// @dev A court, so that jobs may ask for appeals; those that do not are the same without.
    function _courtOf() internal override returns (address) {
        return _newCourt();
    }

    /// @dev One judge, so that few nodes are enough to post what can be appealed.
    function _judges() internal pure override returns (uint8) {
        return 1;
    }

    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    /// @dev A shard settled with all but `hidden` shown, an epoch late so that nobody is waited for.
    function _settledWithout(IJobMarket.JobSpec memory spec, uint16 hidden)
        internal
        returns (JobId job, Answer memory answer, IJobMarket.Receipt memory receipt)
    {
        job = _postAmongFew(spec);
        answer = _answer(job, 0, 0);
        _play(answer);
        _rollTo(_epoch() + 1, 2);
        uint16 paid = _paidSlots(answer) & ~hidden;
        assertEq(_send(_planWithout(answer, hidden), stranger), 1, "settles");
        receipt = _receipt(answer, paid);
    }

    function _refused(
        JobId job,
        uint32 shard,
        IJobMarket.Receipt memory receipt,
        uint8 slot,
        bytes memory opening,
        bytes memory reason
    ) internal {
        vm.expectRevert(reason);
        market.claim(job, shard, receipt, slot, opening);
    }

    // --- paid -----------------------------------------------------------------------------------------------------

    function test_claim__leftOutMember__isPaidAtOnce() public {
        vm.prank(owner);
        market.setProtocolFee(100, rival);
        (JobId job, Answer memory answer, IJobMarket.Receipt memory receipt) = _settledWithout(_spec(), 2);
        NodeId node = _member(_id(job), 0, 0, 1);
        assertEq(_matured(node), 0, "left out");
        bytes memory opening = _claimOpening(answer, node);
        uint256 held = _held(job);
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.Claimed(job, 0, node, 1, PAY);
        vm.prank(rival);
        market.claim(job, 0, receipt, 1, opening);
        assertEq(_matured(node), PAY, "its pay");
        assertEq(_held(job), held - PAY, "out of the escrow");
        assertEq(market.owedTo(stranger), 2 * PAY / 100, "the settler earns nothing more");
        assertEq(_held(job), 2 * PAY / 100, "what is left: both fees of the claimed slot");
        market.withdraw(node);
        assertEq(payToken.balanceOf(operator), PAY, "at once");
    }

    function test_claim__oneShardOfMany__isPaid() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize, spec.pace) = (7, 4, 2);
        JobId job = _post(spec);
        Answer[] memory answers = _answers(job, 0, 2);
        _play(answers);
        _rollTo(_epoch() + 1, 2);
        // The whole first shard, and the second without its slot 0.
        uint256[] memory lanes = _lanesOf(answers);
        SettleCalls.Call memory plan = _plan(answers);
        SettleCalls.Entry memory entry = _entryOf(answers[1], lanes);
        entry.hints[0] = SettleCalls.NO_LANE;
        plan.entries = abi.encodePacked(SettleCalls.encode(_entryOf(answers[0], lanes)), SettleCalls.encode(entry));
        assertEq(_send(plan, stranger), 2, "both settle");
        uint16[] memory paid = new uint16[](2);
        (paid[0], paid[1]) = (7, 6);
        NodeId node = _member(_id(job), 1, 0, 0);
        assertEq(_matured(node), 4 * PAY, "paid for the first");
        bytes memory opening = _claimOpening(answers[1], node);
        market.claim(job, 1, _receipt(answers, paid, 1), 0, opening);
        assertEq(_matured(node), 7 * PAY, "and for the three tasks of the second");
        _refused(
            job,
            0,
            _receipt(answers, paid, 0),
            0,
            opening,
            abi.encodeWithSelector(IJobMarket.SlotPaid.selector, job, 0, 0)
        );
    }

    function test_claim__laterAttempt__isPaid() public {
        JobId job = _post(_spec());
        Answer memory answer = _answer(job, 0, 2);
        _play(answer);
        _rollTo(_epoch() + 1, 2);
        _send(_planWithout(answer, 1), stranger);
        NodeId node = _member(_id(job), 0, 2, 0);
        market.claim(job, 0, _receipt(answer, 6), 0, _claimOpening(answer, node));
        assertEq(_matured(node), PAY, "paid");
    }

    function test_claim__slotsOfOneWord__areApart() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.committee, spec.quorum, spec.pace) = (18, 3, 2, 2);
        JobId job = _post(spec);
        // Shards 15 and 17 lie in different words of claims, 15 and 14 in one.
        for (uint256 shard = 14; shard < 18; shard += 2) {
            Answer[] memory two = _answers(job, shard, 2);
            _play(two);
            _rollTo(_epoch() + 1, 2);
            for (uint256 i; i < 2; ++i) {
                assertEq(_send(_planWithout(two[i], 4), stranger), 1, "settles");
                NodeId node = _member(_id(job), shard + i, 0, 2);
                uint256 before = _matured(node);
                bytes memory opening = _claimOpening(two[i], node);
                uint32 s = uint32(shard + i);
                market.claim(job, s, _receipt(two[i], 3), 2, opening);
                assertEq(_matured(node), before + PAY, "paid");
                _refused(
                    job,
                    s,
                    _receipt(two[i], 3),
                    2,
                    opening,
                    abi.encodeWithSelector(IJobMarket.SlotPaid.selector, job, s, 2)
                );
            }
        }
    }

    // --- when -----------------------------------------------------------------------------------------------------

    function test_claim__windowEdges__lastEpochCounts() public {
        (JobId job, Answer memory answer, IJobMarket.Receipt memory receipt) = _settledWithout(_spec(), 2);
        bytes memory opening = _claimOpening(answer, _member(_id(job), 0, 0, 1));
        uint256 last = _epoch() + market.REPORT_EPOCHS();
        _rollTo(last + 1);
        _refused(
            job,
            0,
            receipt,
            1,
            opening,
            abi.encodeWithSelector(IJobMarket.TooLate.selector, job, 0, uint32(last), uint32(last + 1))
        );
        _rollTo(last, shape.epochBlocks - 1);
        market.claim(job, 0, receipt, 1, opening);
        assertEq(_matured(_member(_id(job), 0, 0, 1)), PAY, "in the last block");
    }

    function test_claim__appealWindow__waitsForItsEnd() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.appealEpochs = 7;
        (JobId job, Answer memory answer, IJobMarket.Receipt memory receipt) = _settledWithout(spec, 2);
        NodeId node = _member(_id(job), 0, 0, 1);
        bytes memory opening = _claimOpening(answer, node);
        uint256 settledAt = _epoch();
        bytes memory notFinal = abi.encodeWithSelector(IJobMarket.NotFinal.selector, job, 0);
        _refused(job, 0, receipt, 1, opening, notFinal);
        _rollTo(settledAt + 7, shape.epochBlocks - 1);
        _refused(job, 0, receipt, 1, opening, notFinal);
        uint256 last = settledAt + 7 + 4;
        _rollTo(last + 1);
        _refused(
            job,
            0,
            receipt,
            1,
            opening,
            abi.encodeWithSelector(IJobMarket.TooLate.selector, job, 0, uint32(last), uint32(last + 1))
        );
        uint256 id = vm.snapshotState();
        _rollTo(last, shape.epochBlocks - 1);
        market.claim(job, 0, receipt, 1, opening);
        assertEq(_matured(node), PAY, "in the last block, withdrawable at once");
        vm.revertToState(id);
        _rollTo(settledAt + 8);
        market.claim(job, 0, receipt, 1, opening);
        assertEq(_matured(node), PAY, "in the first");
        assertEq(_maturing(node), 0, "nothing waits");
    }

    // --- refused --------------------------------------------------------------------------------------------------

    function test_claim__notSettled__reverts() public {
        (JobId job, Answer memory answer, IJobMarket.Receipt memory receipt) = _settledWithout(_spec(), 2);
        bytes memory opening = _claimOpening(answer, _member(_id(job), 0, 0, 1));
        _refused(_job(9), 0, receipt, 1, opening, abi.encodeWithSelector(IJobMarket.UnknownJob.selector, _job(9)));
        bytes memory reason = abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, 0);
        _refused(job, 1, receipt, 1, opening, abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, 1));
        receipt.paidSlots = 1;
        _refused(job, 0, receipt, 1, opening, reason);
        (receipt.paidSlots, receipt.attempt) = (5, 1);
        _refused(job, 0, receipt, 1, opening, reason);
        (receipt.attempt, receipt.resultRoot) = (0, keccak256("other"));
        _refused(job, 0, receipt, 1, opening, reason);
        receipt = _receipt(answer, 5);
        receipt.path = new bytes32[](1);
        _refused(job, 0, receipt, 1, opening, reason);
        market.claim(job, 0, _receipt(answer, 5), 1, opening);
    }

    function test_claim__paidSlotOrTwice__reverts() public {
        (JobId job, Answer memory answer, IJobMarket.Receipt memory receipt) = _settledWithout(_spec(), 2);
        for (uint8 slot; slot < 3; ++slot) {
            bytes memory opening = _claimOpening(answer, _member(_id(job), 0, 0, slot));
            if (slot == 1) market.claim(job, 0, receipt, slot, opening);
            _refused(job, 0, receipt, slot, opening, abi.encodeWithSelector(IJobMarket.SlotPaid.selector, job, 0, slot));
        }
        for (uint256 n = 1; n <= 3; ++n) {
            assertEq(_matured(_node(n)), PAY, "each once");
        }
    }

    function test_claim__slotBeyondOrVoid__reverts() public {
        JobId job = _post(_spec());
        vm.prank(operator);
        registry.pauseNode(_node(3)); // from the first attempt on: its slot is void
        Answer memory answer = _answer(job, 0, 0);
        _play(answer);
        _settle(_one(answer));
        IJobMarket.Receipt memory receipt = _receipt(answer, 3);
        for (uint8 slot = 2; slot < 5; ++slot) {
            _refused(job, 0, receipt, slot, "", abi.encodeWithSelector(IJobMarket.SlotVoid.selector, job, 0, slot));
        }
        _refused(job, 0, receipt, 255, "", abi.encodeWithSelector(IJobMarket.SlotVoid.selector, job, 0, 255));
    }

    function test_claim__notOpenOrTooLate__reverts() public {
        JobId job = _post(_spec());
        Answer memory answer = _answer(job, 0, 0);
        _rollTo(_startOf(_id(job), 0, 0), 2);
        NodeId node = _member(_id(job), 0, 0, 1);
        mannerOf[node] = Manner.SHY;
        _play(answer);
        uint256 commitEpoch = _commitEpochOf(_id(job), 0, 0);
        _rollTo(commitEpoch + 2);
        _settle(_one(answer));
        bytes memory opening = SettleCalls.encode(_openingOf(_one(answer), _id(node) << 32 | commitEpoch, 0));
        _refused(
            job,
            0,
            _receipt(answer, 5),
            1,
            opening,
            abi.encodeWithSelector(IJobMarket.LaneNotOpen.selector, node, uint32(commitEpoch))
        );
        _rollTo(commitEpoch + 3);
        _reveal(node, commitEpoch);
        _refused(
            job,
            0,
            _receipt(answer, 5),
            1,
            opening,
            abi.encodeWithSelector(IJobMarket.RevealedTooLate.selector, node, uint32(commitEpoch), 3)
        );
    }

    function test_claim__openedInTimeAfterSettling__isPaid() public {
        JobId job = _post(_spec());
        Answer memory answer = _answer(job, 0, 0);
        _rollTo(_startOf(_id(job), 0, 0), 2);
        NodeId node = _member(_id(job), 0, 0, 1);
        mannerOf[node] = Manner.SHY;
        _play(answer);
        uint256 commitEpoch = _commitEpochOf(_id(job), 0, 0);
        _rollTo(commitEpoch + 2);
        _settle(_one(answer));
        _reveal(node, commitEpoch);
        market.claim(job, 0, _receipt(answer, 5), 1, _claimOpening(answer, node));
        assertEq(_matured(node), PAY, "nobody is left out for opening second");
    }

    function test_claim__dissenter__isNeverPaid() public {
        JobId job = _post(_spec());
        JobId other = _post(_spec());
        Answer memory answer = _answer(job, 0, 0);
        _rollTo(_startOf(_id(job), 0, 0), 2);
        NodeId dissenter = _member(_id(job), 0, 0, 1);
        NodeId right = _member(_id(job), 0, 0, 0);
        mannerOf[dissenter] = Manner.WRONG;
        _play(_join(_one(answer), _one(_answer(other, 0, 0))));
        _settle(_one(answer));
        IJobMarket.Receipt memory receipt = _receipt(answer, 5);
        uint256 commitEpoch = _commitEpochOf(_id(job), 0, 0);
        bytes memory wrong = abi.encodeWithSelector(IJobMarket.WrongOpening.selector, dissenter, uint32(commitEpoch));

        // Its own batch read as if it held the settled root.
        Answer memory lie = Answer(answer.job, 0, 0, _lie(answer.root, dissenter));
        SettleCalls.Opening memory own = _openingOf(_one(lie), _id(dissenter) << 32 | commitEpoch, 0);
        _refused(job, 0, receipt, 1, SettleCalls.encode(own), wrong);
        // Another node's opening.
        _refused(job, 0, receipt, 1, _claimOpening(answer, right), wrong);
        // Its own leaves as foreign hashes: the batch is its, but nothing in it is this answer.
        bytes32[] memory hashes = _hashes(batchOf[dissenter][commitEpoch]);
        SettleCalls.Segment[] memory segments = new SettleCalls.Segment[](1);
        segments[0] = SettleCalls.Segment(SettleCalls.FOREIGN, uint16(hashes.length), hashes);
        own = SettleCalls.Opening(0, uint16(hashes.length), 0, segments, new bytes32[](0));
        _refused(
            job,
            0,
            receipt,
            1,
            SettleCalls.encode(own),
            abi.encodeWithSelector(IJobMarket.MalformedCall.selector, "opening", 0)
        );
        _refused(job, 0, receipt, 1, "", abi.encodeWithSelector(IJobMarket.MalformedCall.selector, "opening", 0));
    }

    function test_claim__brokenOpening__isRefusedByName() public {
        JobId other = _post(_spec());
        JobId job = _post(_spec());
        Answer memory answer = _answer(job, 0, 0);
        _play(_join(_one(_answer(other, 0, 0)), _one(answer)));
        _rollTo(_epoch() + 1, 2);
        _send(_planWithout(answer, 2), stranger);
        NodeId node = _member(_id(job), 0, 0, 1);
        bytes memory opening = _claimOpening(answer, node);
        assertEq(opening.length, 12 + 32, "a leaf with a proof");
        for (uint256 length; length < opening.length; ++length) {
            _expectNamedError(job, answer, _cut(opening, 0, length));
        }
        for (uint256 i; i < opening.length; ++i) {
            bytes memory flipped = _cut(opening, 0, opening.length);
            flipped[i] ^= bytes1(uint8(1) << uint8(i % 8));
            _expectNamedError(job, answer, flipped);
        }
        market.claim(job, 0, _receipt(answer, 5), 1, opening);
        assertEq(_matured(node), PAY, "the whole one pays");
    }

    function _expectNamedError(JobId job, Answer memory answer, bytes memory opening) private {
        try market.claim(job, 0, _receipt(answer, 5), 1, opening) {
            assertTrue(false, "a broken opening was paid");
        } catch (bytes memory reason) {
            assertTrue(reason.length >= 4 && bytes4(reason) != bytes4(0x4e487b71), "refused by name");
        }
    }

    // --- always ---------------------------------------------------------------------------------------------------

    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: deep.fuzz.runs = 1000
    function testFuzz_claim__anyMemberHidden__everySlotIsPaidOnce(uint8 pick, uint8 order) public {
        uint16 hidden = pick % 4 == 3 ? 0 : uint16(1 << (pick % 4)); // a quorum must be shown
        (JobId job, Answer memory answer, IJobMarket.Receipt memory receipt) = _settledWithout(_spec(), hidden);
        uint256 paid;
        for (uint256 i; i < 6; ++i) {
            uint8 slot = uint8((i + order) % 3);
            bytes memory opening = _claimOpening(answer, _member(_id(job), 0, 0, slot));
            try market.claim(job, 0, receipt, slot, opening) {
                ++paid;
            } catch {}
        }
        assertEq(paid, _ones(hidden), "each hidden slot once");
        for (uint256 n = 1; n <= 3; ++n) {
            assertEq(_matured(_node(n)), PAY, "every slot once");
        }
    }
}
