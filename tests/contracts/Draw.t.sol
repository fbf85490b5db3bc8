// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId, PoolId} from "../../contracts/interfaces/Types.sol";
import {Churn} from "./support/Churn.sol";

// committees, lengthAt
// ├── epoch older than RING - 2 or after the next: DrawOutOfRange(oldest, newest, actual)
// ├── no draw, or a size of zero: nothing
// ├── an odd word at the end: ignored
// ├── unknown or empty pool: void
// └── else: as the protocol page writes it, whatever happened (stateful)
//     ├── invariant 16, second half: a past draw never changes
//     └── invariant 17: a seat taken after a seed is known is never drawn by it
contract DrawTest is Churn {
    struct Recorded {
        uint256 epoch;
        bytes32 slots;
    }

    Recorded[] internal recorded;

    function _draws(uint256 epoch) private view returns (uint256[] memory draws) {
        draws = new uint256[](6);
        for (uint256 i; i < 3; ++i) {
            draws[2 * i] = uint256(keccak256(abi.encode("seed", epoch)));
            uint256 size = i == 0 ? 3 : i == 1 ? 8 : 15;
            draws[2 * i + 1] = _word(i + 1, epoch, pool, size);
        }
    }

    function _word(uint256 job, uint256 epoch, PoolId pool_, uint256 size) private pure returns (uint256) {
        return job << 192 | job << 160 | epoch << 128 | uint256(PoolId.unwrap(pool_)) << 112 | size << 104;
    }

    function _slots(uint256 epoch) private view returns (bytes32) {
        return keccak256(abi.encode(registry.committees(_draws(epoch))));
    }

    // --- the past never changes -----------------------------------------------------------------------------------

    /// @dev A draw of `e` is final from the block that counts for `e` on; it must stay so for RING - 2 epochs.
    /// forge-config: default.fuzz.runs = 24
    /// forge-config: deep.fuzz.runs = 24
    function testFuzz_invariant16__anySequence__pastDrawsNeverChange(uint256 seed) public {
        for (uint256 step; step < 90; ++step) {
            seed = _next(seed);
            _act(seed);
            _wait(seed >> 128);
            _record();
            if (step % 5 == 0 || step == 89) _checkPast();
        }
        assertGt(done, 10, "something happened");
    }

    /// @dev Three nodes that mostly toggle: intervals fall out of their word, or end the seats.
    /// forge-config: default.fuzz.runs = 24
    /// forge-config: deep.fuzz.runs = 24
    function testFuzz_invariant16__manyPauses__pastDrawsNeverChange(uint256 seed) public {
        _registerMany(3, 4);
        for (uint256 step; step < 90; ++step) {
            seed = _next(seed);
            NodeId node = _node(seed % 3 + 1);
            INodeRegistry.NodeView memory v = registry.nodeView(node);
            vm.startPrank(operator);
            if (v.seats.length == 0) registry.takeSeats(node, uint8((seed >> 8) % 4 + 1));
            else if (v.paused) registry.resumeNode(node);
            else registry.pauseNode(node);
            vm.stopPrank();
            vm.roll(vm.getBlockNumber() + (seed >> 16) % 7);
            _record();
            if (step % 5 == 4) _checkPast();
        }
    }

    function _record() private {
        uint256 counting = _counting();
        if (recorded.length == 0 || recorded[recorded.length - 1].epoch != counting) {
            recorded.push(Recorded(counting, _slots(counting)));
        }
    }

    function _checkPast() private view {
        uint256 oldest = _epoch() + 2 - shape.ring;
        for (uint256 i = recorded.length; i > 0; --i) {
            Recorded memory r = recorded[i - 1];
            if (r.epoch < oldest) break;
            assertEq(_slots(r.epoch), r.slots, "a past draw changed");
        }
    }

    /// forge-config: default.fuzz.runs = 24
    /// forge-config: deep.fuzz.runs = 24
    function testFuzz_committees__anySequence__isAsThePageSays(uint256 seed) public {
        for (uint256 step; step < 60; ++step) {
            seed = _next(seed);
            _act(seed);
            _wait(seed >> 128);
            if (step % 12 != 11) continue;
            for (uint256 i; i < 4; ++i) {
                uint256 epoch = _epoch() + 1 - i;
                bytes32 drawSeed = keccak256(abi.encode(seed, i));
                uint256[] memory plain = _plainDraw(drawSeed, i, step, epoch, 15);
                uint256[] memory drawn = _draw(drawSeed, i, step, epoch, pool, 15);
                assertEq(drawn, plain, "committee");
            }
        }
    }

    /// @dev Past lengths stay what they were, through growth and shrinking.
    /// forge-config: default.fuzz.runs = 24
    /// forge-config: deep.fuzz.runs = 24
    function testFuzz_lengthAt__anySequence__pastLengthsNeverChange(uint256 seed) public {
        uint32[] memory lengths = new uint32[](2_000);
        for (uint256 step; step < 120; ++step) {
            seed = _next(seed);
            _act(seed);
            lengths[_counting() - START + 1] = registry.poolView(pool).length;
            _wait(seed >> 128);
            for (uint256 epoch = _counting(); epoch + shape.ring >= _epoch() + 2 && epoch > START; --epoch) {
                // Epochs in which nothing was asked keep the length of the one before.
                if (lengths[epoch - START] != 0) {
                    assertEq(registry.lengthAt(pool, uint32(epoch)), lengths[epoch - START], "length");
                }
            }
        }
    }

    // --- invariant 17 ---------------------------------------------------------------------------------------------

    /// @dev Whoever acts in the last LEAD blocks before an epoch, or later, is not in its draw.
    function test_invariant17__seatTakenAfterSeedIsForeseeable__isNeverDrawnByIt() public {
        _registerMany(3, 1);
        uint256 epoch = _epoch() + 3;
        uint256 first = epoch * shape.epochBlocks - shape.lead;
        for (uint256 number = first; number < (epoch + 1) * shape.epochBlocks; ++number) {
            uint256 id = vm.snapshotState();
            vm.roll(number);
            NodeId late = _register(rival, 4);
            for (uint256 job; job < 12; ++job) {
                uint256[] memory members = _draw(_seedOf(epoch), job, 0, epoch, pool, 15);
                for (uint256 i; i < 15; ++i) {
                    assertNotEq(members[i], _id(late), "drawn by a seed that was known");
                }
            }
            vm.revertToState(id);
        }
    }

    function test_committees__seatTakenJustBeforeTheLead__isDrawn() public {
        uint256 epoch = _epoch() + 3;
        vm.roll(epoch * shape.epochBlocks - shape.lead - 1);
        NodeId node = _register(rival, 4);
        uint256[] memory members = _draw(_seedOf(epoch), 1, 0, epoch, pool, 3);
        assertEq(members[0], _id(node), "counts for the epoch before");
    }

    function test_committees__seatLeftAfterSeedIsKnown__isStillDrawn() public {
        _registerMany(1, 4);
        uint256 epoch = _epoch() + 1;
        _rollTo(epoch, 1);
        vm.prank(operator);
        registry.leaveSeats(_node(1), 4);
        assertEq(_draw(_seedOf(epoch), 1, 0, epoch, pool, 3)[0], 1, "duties already drawn stand");
        _rollTo(epoch + 1);
        assertEq(_draw(_seedOf(epoch + 1), 1, 0, epoch + 1, pool, 3)[0], 0, "gone from the next");
    }

    // --- range ----------------------------------------------------------------------------------------------------

    function _expectOutOfRange(uint256 oldest, uint256 newest, uint256 actual) private {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.DrawOutOfRange.selector, oldest, newest, actual));
    }

    function test_committees__edgesOfTheRange__areRingMinusTwoBackAndTheNext() public {
        _registerMany(3, 1);
        uint256 now_ = _epoch();
        uint256 oldest = now_ + 2 - shape.ring;
        _expectOutOfRange(oldest, now_ + 1, oldest - 1);
        registry.committees(_draws(oldest - 1));
        registry.committees(_draws(oldest));
        registry.committees(_draws(now_ + 1));
        _expectOutOfRange(oldest, now_ + 1, now_ + 2);
        registry.committees(_draws(now_ + 2));
        _expectOutOfRange(oldest, now_ + 1, oldest - 1);
        registry.lengthAt(pool, uint32(oldest - 1));
    }

    function test_committees__youngChain__reachesBackToItsStart() public {
        _rollTo(5);
        registry.committees(_draws(0));
        _expectOutOfRange(0, 6, 7);
        registry.committees(_draws(7));
    }

    function test_lengthAt__grownOnAYoungChain__isZeroBefore() public {
        _rollTo(0, 1);
        _register(operator, 2);
        _rollTo(3);
        assertEq(registry.lengthAt(pool, 1), 2, "since epoch 1");
        _register(operator, 3);
        assertEq(registry.lengthAt(pool, 3), 2, "before");
        assertEq(registry.lengthAt(pool, 4), 5, "after");
    }

    // --- shapes of the call ---------------------------------------------------------------------------------------

    function test_committees__nothingAsked__answersNothing() public view {
        assertEq(registry.committees(new uint256[](0)).length, 0, "none");
        assertEq(registry.committees(new uint256[](1)).length, 0, "half a draw");
    }

    function test_committees__sizeZero__isSkippedWhateverItsEpoch() public {
        _registerMany(3, 1);
        uint256[] memory draws = _draws(_epoch());
        draws[3] = _word(2, 1, pool, 0);
        uint256[] memory slots = registry.committees(draws);
        assertEq(slots[2] | slots[3], 0, "skipped");
        assertNotEq(slots[4], 0, "the next is drawn");
    }

    function test_committees__unknownOrEmptyPool__isVoid() public {
        _registerMany(3, 1);
        uint256[] memory draws = new uint256[](2);
        draws[1] = _word(1, _epoch(), PoolId.wrap(9), 15);
        uint256[] memory slots = registry.committees(draws);
        assertEq(slots[0] | slots[1], 0, "void");
    }

    function test_committees__nodeOfAnotherPool__isNeverDrawn() public {
        PoolId second = PoolId.wrap(2);
        vm.prank(owner);
        registry.createPool(second, _terms());
        _register(operator, 2);
        _register(second, rival, 2);
        _rollTo(_epoch() + 2);
        assertEq(_draw("seed", 1, 0, _epoch(), pool, 2)[0], 1, "pool 1");
        assertEq(_draw("seed", 1, 0, _epoch(), pool, 2)[1], 0, "nobody else");
        assertEq(_draw("seed", 1, 0, _epoch(), second, 2)[0], 2, "pool 2");
    }
}
