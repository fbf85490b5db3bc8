// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {ManyScenes} from "./support/ManyScenes.sol";
import {SettleCalls} from "./support/SettleCalls.sol";

// settle, what it is shown
// ├── openings
// │   ├── whole batch, one leaf of many, a range with foreign leaves between, several for one lane
// │   ├── flipped proof, flipped foreign leaf, shifted range, wrong size, proof too short or too long: refused
// │   ├── a lane beyond the list, not opened, opened after two epochs
// │   └── an entry beyond the list, more leaves than the batch
// └── any cut or flipped byte: refused by a named error, or what is paid is what the openings show
contract SettleOpeningsTest is ManyScenes {
    // --- openings -------------------------------------------------------------------------------------------------

    /// @dev Node 1's batch of nine leaves of which four are settled here: the others are of a job that is not.
    function _nine() internal returns (Answer[] memory some, Answer[] memory all) {
        JobId first = _jobOf(5, 3, 2);
        all = _join(_answers(first, 0, 2), _answers(_jobOf(2, 3, 2), 0, 2));
        all = _join(all, _answers(_jobOf(2, 3, 2), 0, 2));
        all = _join(all, _answers(_jobOf(3, 2, 3), 0, 3));
        _play(all);
        some = new Answer[](4);
        (some[0], some[1], some[2], some[3]) = (all[1], all[3], all[4], all[6]);
    }

    function test_settle__rangesWithForeignLeaves__settle() public {
        (Answer[] memory some, Answer[] memory all) = _nine();
        assertEq(_settle(some), 4, "leaves between and around are foreign");
        assertEq(_settle(all), 5, "the others, the same way");
        assertEq(_paid(), (6 * 3 + 3 * 2) * PAY, "every slot");
    }

    function test_settle__eachLeafAlone__settles() public {
        (, Answer[] memory all) = _nine();
        for (uint256 i; i < all.length; ++i) {
            assertEq(_settle(_one(all[i])), 1, "one leaf and its proof");
        }
        assertEq(_paid(), (6 * 3 + 3 * 2) * PAY, "every slot");
    }

    function test_settle__severalOpeningsOfOneLane__payOnce() public {
        (Answer[] memory some,) = _nine();
        uint256[] memory lanes = _lanesOf(some);
        SettleCalls.Call memory plan = _plan(some);
        // Each lane again, leaf by leaf.
        for (uint8 i; i < lanes.length; ++i) {
            for (uint256 a; a < some.length; ++a) {
                SettleCalls.Opening memory opening = _openingOf(_one(some[a]), lanes[i], i);
                if (opening.segments.length == 0) continue;
                opening.segments[0].entry = uint16(a);
                plan.openings = abi.encodePacked(plan.openings, SettleCalls.encode(opening));
            }
        }
        assertEq(_send(plan, stranger), 4, "settles");
        assertEq(_paid(), (3 * 3 + 2) * PAY, "once");
    }

    function _withOpening(Answer[] memory some, SettleCalls.Opening memory opening)
        internal
        view
        returns (SettleCalls.Call memory plan)
    {
        plan = _plan(some);
        plan.openings = SettleCalls.encode(opening);
    }

    function _flip(bytes32 value) internal pure returns (bytes32) {
        return value ^ bytes32(uint256(1) << 77);
    }

    function test_settle__openingOfAnotherTree__reverts() public {
        (Answer[] memory some,) = _nine();
        uint256[] memory lanes = _lanesOf(some);
        SettleCalls.Opening memory good = _openingOf(some, lanes[0], 0);
        assertGt(good.proof.length, 0, "the range has a proof");
        bytes memory reason =
            abi.encodeWithSelector(IJobMarket.WrongOpening.selector, _node(lanes[0] >> 32), uint32(lanes[0]));
        SettleCalls.Opening memory bad = _openingOf(some, lanes[0], 0);
        bad.proof[0] = _flip(bad.proof[0]);
        _refused(_withOpening(some, bad), reason);
        bad = _openingOf(some, lanes[0], 0);
        for (uint256 i; i < bad.segments.length; ++i) {
            if (bad.segments[i].entry != SettleCalls.FOREIGN) continue;
            bad.segments[i].foreign[0] = _flip(bad.segments[i].foreign[0]);
            _refused(_withOpening(some, bad), reason);
            break;
        }
        // Another lane's opening, the right leaf named as another entry.
        bad = _openingOf(some, lanes[1], 1);
        bad.lane = 0;
        if (keccak256(batchOf[_node(1)][uint32(lanes[0])]) != keccak256(batchOf[_node(2)][uint32(lanes[0])])) {
            _refused(_withOpening(some, bad), reason);
        }
        bad = _openingOf(some, lanes[0], 0);
        bad.segments[0].entry = bad.segments[0].entry == 0 ? 1 : 0;
        _refused(_withOpening(some, bad), reason);
    }

    function test_settle__openingOfALaneThatIsNot__reverts() public {
        (Answer[] memory some,) = _nine();
        SettleCalls.Opening memory opening = _openingOf(some, _lanesOf(some)[0], 3);
        _refused(_withOpening(some, opening), _malformed("lane of opening", 0));
    }

    function test_settle__openingsSegmentOutOfList__reverts() public {
        (Answer[] memory some,) = _nine();
        SettleCalls.Opening memory opening = _openingOf(some, _lanesOf(some)[0], 0);
        opening.segments[0].entry = 4; // there are four entries
        _refused(_withOpening(some, opening), _malformed("segment", 7));
        opening = _openingOf(some, _lanesOf(some)[0], 0);
        opening.segments[0].length = 600; // more leaves than the batch has
        _refused(_withOpening(some, opening), _malformed("segment", 7));
    }

    function test_settle__laneNotOpen__reverts() public {
        mannerOf[_node(1)] = Manner.SHY;
        (Answer[] memory some,) = _nine();
        uint256 pair = _lanesOf(some)[0];
        bytes memory reason = abi.encodeWithSelector(IJobMarket.LaneNotOpen.selector, _node(1), uint32(pair));
        _rollTo(_epoch() + 1);
        _refused(_withOpening(some, _openingOf(some, pair, 0)), reason);
        _reveal(_node(1), uint32(pair));
        assertEq(_settle(some), 4, "opened two epochs after its commit, it counts");
    }

    function test_settle__absentLaneShown__reverts() public {
        Answer memory answer = _answer(_jobOf(1, 3, 0), 0, 0);
        mannerOf[_node(3)] = Manner.ABSENT;
        _play(answer);
        uint256[] memory lanes = _lanesOf(_one(answer));
        SettleCalls.Opening memory opening = _openingOf(_one(answer), lanes[0], 2);
        SettleCalls.Call memory plan = _withOpening(_one(answer), opening);
        _refused(plan, abi.encodeWithSelector(IJobMarket.LaneNotOpen.selector, _node(3), uint32(lanes[2])));
    }

    function test_settle__openedAfterTwoEpochs__doesNotCount() public {
        mannerOf[_node(1)] = Manner.SHY;
        Answer memory answer = _answer(_jobOf(1, 3, 0), 0, 0);
        _play(answer);
        uint256 pair = _lanesOf(_one(answer))[0];
        for (uint8 delay = 3; delay <= 4; ++delay) {
            uint256 id = vm.snapshotState();
            _rollTo(uint32(pair) + uint256(delay));
            _reveal(_node(1), uint32(pair));
            SettleCalls.Call memory plan = _withOpening(_one(answer), _openingOf(_one(answer), pair, 0));
            _refused(plan, abi.encodeWithSelector(IJobMarket.RevealedTooLate.selector, _node(1), uint32(pair), delay));
            assertEq(_settle(_one(answer)), 1, "the others settle");
            assertEq(_matured(_node(1)), 0, "unpaid");
            vm.revertToState(id);
        }
    }

    function test_settle__openingWithWrongNumbers__reverts() public {
        (Answer[] memory some,) = _nine();
        uint256 pair = _lanesOf(some)[0];
        SettleCalls.Opening memory opening = _openingOf(some, pair, 0);
        SettleCalls.Call memory plan = _withOpening(some, opening);
        bytes memory rest = _cut(plan.openings, 5, plan.openings.length - 5);
        for (uint16 n; n <= opening.size + 2; ++n) {
            for (uint16 first; first <= opening.size + 1; ++first) {
                if (n == opening.size && first == opening.first) continue;
                plan.openings = abi.encodePacked(uint8(0), n, first, rest);
                _expectNamedError(plan);
            }
        }
        opening = _openingOf(some, pair, 0);
        bytes32[] memory longer = new bytes32[](opening.proof.length + 1);
        bytes32[] memory shorter = new bytes32[](opening.proof.length - 1);
        for (uint256 i; i < opening.proof.length; ++i) {
            longer[i] = opening.proof[i];
            if (i < shorter.length) shorter[i] = opening.proof[i];
        }
        opening.proof = longer;
        _expectNamedError(_withOpening(some, opening));
        opening.proof = shorter;
        _expectNamedError(_withOpening(some, opening));
    }

    // --- any bytes ------------------------------------------------------------------------------------------------

    function test_settle__cutAnywhere__isRefusedByName() public {
        Answer[] memory answers = _four();
        SettleCalls.Call memory good = _plan(answers);
        for (uint256 part; part < 3; ++part) {
            bytes memory whole = part == 0 ? good.entries : part == 1 ? good.lanes : good.openings;
            for (uint256 length; length < whole.length; ++length) {
                SettleCalls.Call memory plan = SettleCalls.Call(good.entries, good.lanes, good.openings);
                bytes memory piece = _cut(whole, 0, length);
                if (part == 0) plan.entries = piece;
                if (part == 1) plan.lanes = piece;
                if (part == 2) plan.openings = piece;
                // A cut between two entries is a smaller call, between two openings one with fewer: both may be fine.
                uint256 id = vm.snapshotState();
                try market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0)) returns (uint256 settled) {
                    assertTrue(part == 0, "only entries can be cut and still settle");
                    assertTrue(length % 48 == 0 || length == 2 * 48 + 47, "between entries");
                    assertEq(settled, length / 47, "settles those that are there");
                } catch (bytes memory reason) {
                    _assertNamed(reason);
                }
                vm.revertToState(id);
            }
        }
    }

    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: deep.fuzz.runs = 1000
    function testFuzz_settle__flippedByte__isRefusedOrPaysWhatIsShown(uint256 where, uint8 with) public {
        vm.assume(with != 0);
        Answer[] memory answers = _four();
        SettleCalls.Call memory plan = _plan(answers);
        uint256 total = plan.entries.length + plan.lanes.length + plan.openings.length;
        where = bound(where, 0, total - 1);
        if (where < plan.entries.length) {
            plan.entries[where] ^= bytes1(with);
        } else if (where < plan.entries.length + plan.lanes.length) {
            plan.lanes[where - plan.entries.length] ^= bytes1(with);
        } else {
            plan.openings[where - plan.entries.length - plan.lanes.length] ^= bytes1(with);
        }
        uint256 before = payToken.balanceOf(address(market));
        // Every drawn lane must be listed now, so that no flip can leave a member out.
        try market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0)) {
            assertTrue(false, "no byte is without meaning");
        } catch (bytes memory reason) {
            _assertNamed(reason);
        }
        assertEq(_paid(), 0, "nothing is paid");
        assertEq(payToken.balanceOf(address(market)), before, "nothing moves");
    }
}
