// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Sortition} from "../../contracts/libraries/Sortition.sol";
import {Proof} from "./Proof.sol";

/// @title The draw of a committee from small pools
/// @dev A list of up to four seats is one word, 64 bits a seat: the node, and bit 32 for "ask whether it serves". `when`
/// has a bit per node number for those that do not serve.
contract SortitionProof is Proof {
    function _nodeAt(uint256 list, uint256, uint256 index) private pure returns (uint256) {
        return uint64(list >> (index * 64));
    }

    function _serves(uint256 node, uint256 when) private pure returns (bool) {
        return (when >> node) & 1 == 0;
    }

    function _draw(bytes32 seed, uint256 size, uint256 seats, uint256 list, uint256 when, uint256 barred)
        private
        view
        returns (uint256 low)
    {
        uint256 high;
        (low, high) = Sortition.draw(seed, 7, 3, size, seats, list, when, barred, 0, _nodeAt, _serves);
        assert(high == 0);
    }

    function _holds(uint256 word, uint256 node) private pure returns (bool found) {
        for (uint256 i; i < 8; ++i) {
            found = either(found, uint32(word >> (32 * i)) == node);
        }
    }

    // --- words of eight -------------------------------------------------------------------------------------------

    function check_contains__anyWord__isThePlainLoop(uint256 word, uint32 node) public pure {
        vm.assume(node != 0);
        assert(Sortition.contains(word, node) == _holds(word, node));
    }

    function refute_contains__anyWord__isWhetherTheLastIsIt(uint256 word, uint32 node) public pure {
        vm.assume(node != 0);
        assert(Sortition.contains(word, node) == (uint32(word) == node));
    }

    function check_slot__fifteenSlots__readsEachFromTheLeft(uint32[8] memory left, uint32[7] memory right) public pure {
        uint256 low;
        uint256 high;
        for (uint256 i; i < 8; ++i) {
            low = low << 32 | left[i];
            if (i < 7) high = high << 32 | right[i];
        }
        high <<= 32;
        for (uint256 i; i < 8; ++i) {
            assert(Sortition.slot(low, high, i) == left[i]);
            if (i < 7) assert(Sortition.slot(low, high, 8 + i) == right[i]);
        }
    }

    // --- any seed -------------------------------------------------------------------------------------------------

    function check_draw__emptyList__drawsNobody(bytes32 seed, uint256 list, uint8 size) public view {
        assert(_draw(seed, size, 0, list, 0, 0) == 0);
    }

    function check_draw__oneSeat__isTheNodeIfItMayServe(
        bytes32 seed,
        uint32 node,
        bool asked,
        bool paused,
        uint32 barred
    ) public view {
        vm.assume(node < 256);
        uint256 when = paused ? 1 << node : 0;
        uint256 low = _draw(seed, 3, 1, (asked ? 1 << 32 : 0) | node, when, uint256(barred) << 224);
        bool out = node == 0 || (asked && paused) || (barred != 0 && node == barred);
        assert(low == (out ? 0 : uint256(node) << 224));
    }

    function _neighbour(uint256, uint256, uint256 index) private pure returns (uint256) {
        return index + 11;
    }

    /// @custom:halmos --solver-timeout-branching 2s
    function check_draw__anySeedAndFourValidSeats__drawsTwoOfThem(bytes32 seed) public view {
        (uint256 low,) = Sortition.draw(seed, 7, 3, 2, 4, 0, 0, 0, 0, _neighbour, _serves);
        (uint256 first, uint256 second) = (Sortition.slot(low, 0, 0), Sortition.slot(low, 0, 1));
        bool seated = both(second >= 11, second <= 14);
        bool apart = either(second == 0, both(seated, second != first));
        assert(both(both(first >= 11, first <= 14), apart));
    }

    function refute_draw__anySeedAndTwoSeats__drawsBoth(bytes32 seed) public view {
        // All 64 words of the stream may fall on one seat.
        assert(Sortition.slot(_draw(seed, 1, 2, 11 | 12 << 64, 0, 0), 0, 0) == 11);
    }

    // --- any nodes ------------------------------------------------------------------------------------------------

    /// @dev Three seats, three slots, whoever holds the seats: distinct, valid, serving, not barred, without a gap, and
    /// nobody who might serve is left out.
    function _anyNodes(bytes32 seed, uint32[3] memory nodes, uint256 when, uint32 barred) private view {
        uint256 list;
        for (uint256 i; i < 3; ++i) {
            vm.assume(nodes[i] < 256);
            list |= (uint256(nodes[i]) | 1 << 32) << (64 * i);
        }
        uint256 low = _draw(seed, 3, 3, list, when, uint256(barred) << 224);
        uint256[3] memory drawn;
        for (uint256 i; i < 3; ++i) {
            uint256 node = Sortition.slot(low, 0, i);
            drawn[i] = node;
            bool seated = either(either(node == nodes[0], node == nodes[1]), node == nodes[2]);
            bool fit = both(seated, both((when >> node) & 1 == 0, either(barred == 0, node != barred)));
            assert(either(node == 0, fit));
            bool left = both(nodes[i] != 0, both((when >> nodes[i]) & 1 == 0, either(barred == 0, nodes[i] != barred)));
            assert(either(!left, _holds(low, nodes[i])));
        }
        assert(either(drawn[1] == 0, both(drawn[0] != 0, drawn[0] != drawn[1])));
        assert(either(drawn[2] == 0, both(drawn[1] != 0, both(drawn[2] != drawn[0], drawn[2] != drawn[1]))));
        assert(low << 96 == 0);
    }

    function check_draw__anyNodesOnThreeSeats__drawsEachThatMayServeOnce(uint32[3] memory nodes) public view {
        _anyNodes(keccak256("one"), nodes, 0, 0);
    }

    function check_draw__anyPauses__drawsNobodyPaused(uint256 when) public view {
        _anyNodes(keccak256("two"), [uint32(5), 6, 7], when, 0);
        _anyNodes(keccak256("three"), [uint32(5), 6, 5], when, 0);
    }

    function check_draw__anyBarredNode__isNeverDrawn(uint32 barred) public view {
        _anyNodes(keccak256("four"), [uint32(5), 6, 7], 0, barred);
        _anyNodes(keccak256("five"), [uint32(8), 8, 9], 0, barred);
    }
}
