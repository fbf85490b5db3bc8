// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JobWord} from "../../contracts/libraries/JobWord.sol";
import {Proof} from "./Proof.sol";

/// @title A job in one word
/// @dev `_pack` says independently, in order and with widths, what JobWord's documentation says.
contract JobWordProof is Proof {
    using JobWord for uint256;

    struct Fields {
        uint88 price;
        uint32 tasks;
        uint24 size;
        uint32 postEpoch;
        uint16 pace;
        uint16 pool;
        uint8 committee;
        uint8 quorum;
        uint8 work;
        uint8 attempts;
        uint8 class;
        uint8 appealEpochs;
    }

    function _pack(Fields memory f) private pure returns (uint256) {
        return uint256(
            bytes32(
                abi.encodePacked(
                    f.price,
                    f.tasks,
                    f.size,
                    f.postEpoch,
                    f.pace,
                    f.pool,
                    f.committee,
                    f.quorum,
                    f.work,
                    f.attempts,
                    f.class,
                    f.appealEpochs
                )
            )
        );
    }

    function check_fields__priceAndShape__readBack(Fields memory f) public pure {
        uint256 word = _pack(f);
        assert(word.taskPrice() == f.price);
        assert(word.tasks() == f.tasks);
        assert(word.shardSize() == f.size);
        assert(word.pool() == f.pool);
    }

    function check_fields__clock__readsBack(Fields memory f) public pure {
        uint256 word = _pack(f);
        assert(word.postEpoch() == f.postEpoch);
        assert(word.pace() == f.pace);
        assert(word.work() == f.work);
        assert(word.maxAttempts() == f.attempts);
        assert(word.appealEpochs() == f.appealEpochs);
    }

    function check_fields__committee__readsBack(Fields memory f) public pure {
        vm.assume(f.class & 0x0f < 4);
        uint256 word = _pack(f);
        assert(word.committee() == f.committee);
        assert(word.quorum() == f.quorum);
        // The flags beside it do not disturb the class.
        assert(uint256(word.class()) == f.class & 0x0f);
        assert((word & JobWord.RARE != 0) == (f.class & 0x80 != 0));
        assert((word & JobWord.CASE != 0) == (f.class & 0x40 != 0));
    }

    function refute_fields__priceOfMoreBits__readsBack(uint96 price, uint256 rest) public pure {
        uint256 word = uint256(price) << 168 | (rest & ((1 << 168) - 1));
        assert(word.taskPrice() == price);
    }

    function check_withTasks__anyWord__changesTheTasksOnly(uint256 word, uint32 tasks) public pure {
        uint256 next = word.withTasks(tasks);
        assert(next.tasks() == tasks);
        assert((next ^ word) & ~(uint256(type(uint32).max) << 136) == 0);
    }

    // --- shards ---------------------------------------------------------------------------------------------------

    function check_shards__sizesUpToFive__areJustEnough(uint32 tasks) public pure {
        vm.assume(tasks != 0);
        unchecked {
            for (uint256 size = 1; size <= 5; ++size) {
                uint256 shards = (uint256(tasks) << 136 | size << 112).shards();
                assert(shards * size >= tasks);
                assert((shards - 1) * size < tasks);
            }
        }
    }

    function check_tasksIn__threeShards__sumToTheTasks(uint32 tasks, uint24 size) public pure {
        unchecked {
            vm.assume(tasks > 2 * uint256(size) && tasks <= 3 * uint256(size));
            uint256 word = uint256(tasks) << 136 | uint256(size) << 112;
            (uint256 first, uint256 second, uint256 last) = (word.tasksIn(0), word.tasksIn(1), word.tasksIn(2));
            assert(first == size && second == size);
            assert(last != 0 && last <= size);
            assert(first + second + last == tasks);
        }
    }

    function check_tasksIn__notTheLastShard__isTheShardSize(uint32 tasks, uint24 size, uint32 shard) public pure {
        unchecked {
            vm.assume(uint256(shard) * size + size <= tasks);
            assert((uint256(tasks) << 136 | uint256(size) << 112).tasksIn(shard) == size);
        }
    }

    function check_tasksIn__lastShard__isWhatIsLeft(uint32 tasks, uint24 size, uint32 shard) public pure {
        unchecked {
            uint256 before = uint256(shard) * size;
            vm.assume(before < tasks && before + size > tasks);
            assert(before + (uint256(tasks) << 136 | uint256(size) << 112).tasksIn(shard) == tasks);
        }
    }

    function refute_tasksIn__everyShard__isTheShardSize(uint32 tasks, uint24 size) public pure {
        vm.assume(size != 0 && tasks != 0);
        assert((uint256(tasks) << 136 | uint256(size) << 112).tasksIn(0) == size);
    }

    // --- cases and draws ------------------------------------------------------------------------------------------

    function check_caseWord__anyShard__keepsWhatTheJobSays(uint256 word, uint32 postEpoch, uint8 judges, uint8 quorum)
        public
        pure
    {
        vm.assume((word >> 8) & 0x0f < 4 && word.shardSize() != 0);
        uint256 about = word.caseWord(0, postEpoch, judges, quorum);
        assert(about.taskPrice() == word.taskPrice() && about.pool() == word.pool());
        assert(about.work() == word.work() && about.maxAttempts() == word.maxAttempts());
        assert(about.class() == word.class());
    }

    function check_caseWord__anyShard__isOneShardOfTheJudges(uint256 word, uint32 postEpoch, uint8 judges, uint8 quorum)
        public
        pure
    {
        uint256 about = word.caseWord(0, postEpoch, judges, quorum);
        assert(about.tasks() == word.tasksIn(0) && about.shardSize() == word.tasksIn(0));
        assert(about.committee() == judges && about.quorum() == quorum);
        assert(about.postEpoch() == postEpoch && about.pace() == 1 && about.appealEpochs() == 0);
        assert(about & JobWord.CASE != 0 && about & JobWord.RARE == 0);
    }

    /// @dev Two draws are the same question only if job, shard, epoch, pool, size and kind are.
    function check_drawWord__sameWord__isTheSameDraw(
        uint256 word,
        uint256 other,
        uint96 key,
        uint96 otherKey,
        uint32 start,
        uint32 otherStart
    ) public pure {
        vm.assume(word.drawWord(key, start) == other.drawWord(otherKey, otherStart));
        assert(key == otherKey && start == otherStart);
        assert(word.pool() == other.pool() && word.committee() == other.committee());
        assert(word & JobWord.CASE == other & JobWord.CASE);
    }

    function refute_drawWord__sameWord__isTheSameJobWord(uint256 word, uint256 other, uint96 key, uint32 start)
        public
        pure
    {
        vm.assume(word.drawWord(key, start) == other.drawWord(key, start));
        assert(word == other);
    }
}
