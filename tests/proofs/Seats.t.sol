// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JobId, NodeId, PoolId} from "../../contracts/interfaces/Types.sol";
import {NodeRegistry} from "../../contracts/NodeRegistry.sol";
import {Proof} from "./Proof.sol";

/// @title The registry's seat list, without the stake that goes with a seat
contract SeatsHarness is NodeRegistry {
    PoolId private constant POOL = PoolId.wrap(1);

    constructor(address court_) NodeRegistry(address(1), address(2), 10, 128, 4) {
        court = court_;
    }

    function take(uint32 node) external {
        _takeSeat(POOL, NodeId.wrap(node));
    }

    function end(uint32 node) external {
        _endSeat(POOL, NodeId.wrap(node));
    }
}

/// @title Which seats a draw gives, through the registry's own list
/// @dev Seeds are fixed, so that all seats come up within the probes; epochs are free. This contract stands for the Court.
contract SeatsProof is Proof {
    PoolId private constant POOL = PoolId.wrap(1);
    uint256 private constant NOW = 60;
    bytes32 private constant SEED = keccak256("seed");

    SeatsHarness private _registry;
    uint256 private _heldBefore;
    uint256 private _barred;

    function setUp() public {
        _registry = new SeatsHarness(address(this));
        for (uint32 i; i < 4; ++i) {
            _at(10 * (i + 1));
            _registry.take(5 + i);
        }
        _at(45);
        _registry.end(6);
        _at(NOW);
    }

    /// @dev Seats: node 5 from epoch 11, 6 from 21 to 45, 7 from 31, 8 from 41.
    function _seated(uint256 node, uint256 epoch) private pure returns (bool) {
        return both(epoch > 10 * (node - 4), either(node != 6, epoch < 46));
    }

    function exclusions(JobId) external view returns (uint256, uint256, uint256) {
        return (_heldBefore, _barred << 224, 0);
    }

    function _at(uint256 epoch) private {
        vm.roll(epoch * 10);
    }

    function _draw(uint256 epoch, bool judges) private view returns (uint256) {
        uint256[] memory draws = new uint256[](2);
        draws[0] = uint256(SEED);
        draws[1] =
            uint256(7) << 192 | uint256(3) << 160 | epoch << 128 | uint256(1) << 112 | 4 << 104 | (judges ? 1 : 0);
        uint256[] memory slots = _registry.committees(draws);
        assert(slots[1] == 0);
        return slots[0];
    }

    function _holds(uint256 low, uint256 node) private pure returns (bool found) {
        for (uint256 i = 4; i < 8; ++i) {
            found = either(found, uint32(low >> (32 * i)) == node);
        }
    }

    function check_committees__anyEpoch__drawsJustTheSeatsValidThen(uint8 epoch) public view {
        vm.assume(epoch <= NOW + 1);
        uint256 low = _draw(epoch, false);
        for (uint256 node = 5; node < 9; ++node) {
            assert(_holds(low, node) == _seated(node, epoch));
        }
    }

    function check_committees__epochTooFar__isRefused(uint32 epoch) public {
        _at(400);
        uint256[] memory draws = new uint256[](2);
        draws[1] = uint256(epoch) << 128 | uint256(1) << 112 | 4 << 104;
        (bool done,) = address(_registry).staticcall(abi.encodeCall(_registry.committees, (draws)));
        // One ahead at most, and nothing that the ring may have forgotten.
        assert(done == (epoch <= 401 && epoch >= 400 + 2 - 128));
    }

    /// @dev Judges hold a seat now, and held it before the appealed attempt; nobody of its committee is among them.
    function check_committees__anyCase__drawsOnlyOlderSeatsAndNobodyBarred(uint8 heldBefore, uint32 barred) public {
        vm.assume(heldBefore != 0 && heldBefore <= NOW + 1);
        (_heldBefore, _barred) = (heldBefore, barred);
        uint256 low = _draw(NOW + 1, true);
        for (uint256 node = 5; node < 9; ++node) {
            bool older = 10 * (node - 4) + 1 < heldBefore;
            bool may = both(both(older, _seated(node, NOW + 1)), node != barred);
            assert(_holds(low, node) == may);
        }
    }

    function check_committees__seatsTakenAndEndedNow__changeNoDrawOfNowOrBefore(uint8 epoch) public {
        vm.assume(epoch <= NOW);
        uint256 before = _draw(epoch, false);
        _registry.take(9);
        _registry.end(5);
        assert(_draw(epoch, false) == before);
    }

    function refute_committees__seatsTakenAndEndedNow__changeNoDraw(uint8 epoch) public {
        vm.assume(epoch <= NOW + 1);
        uint256 before = _draw(epoch, false);
        _registry.end(5);
        assert(_draw(epoch, false) == before);
    }

    /// @dev Node 6's entry is long dead: the last seat, node 8's, moves into it.
    function check_relocate__deadHole__changesNoDrawOfNowOrBeforeAndKeepsTheSeatsAge(uint8 epoch) public {
        _at(180);
        vm.assume(epoch <= 180 && epoch >= 180 + 2 - 128);
        uint256 before = _draw(epoch, false);
        (,,, uint32 heldSince) = _registry.seatAt(POOL, 3);
        _registry.relocate(POOL);
        assert(_draw(epoch, false) == before);
        (NodeId node, uint32 since,, uint32 held) = _registry.seatAt(POOL, 1);
        assert(NodeId.unwrap(node) == 8 && since == 181);
        assert(held == heldSince && held == 41);
    }
}
