// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "./interfaces/Types.sol";
import {ICommitLedger} from "./interfaces/ICommitLedger.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {Asks} from "./libraries/Asks.sol";
import {Headers} from "./libraries/Headers.sol";
import {Trees} from "./libraries/Trees.sol";
import {Words} from "./libraries/Words.sol";
import {Clock} from "./Clock.sol";

/// @title CommitLedger
/// @notice Sealed answers and seeds; every promise is in ICommitLedger.
contract CommitLedger is ICommitLedger, Clock {
    /// @dev First word of every digest's preimage.
    bytes32 public constant TYPE = keccak256("Quorate batch v1");
    uint256 public constant MAX_LEAVES = 512;

    /// @dev State of a lane, beside the delay of its reveal in the low four bits.
    uint256 private constant SEALED = 0;
    uint256 private constant UNREVEALED = 0x10;
    uint256 private constant ABSENT = 0x20;
    uint256 private constant WRONG = 0x40;
    /// @dev Slots that a ring may have.
    uint256 private constant RING_SPACE = 1 << 16;

    /// @dev One word, `epoch32 | state8 | digest or root 216`; a struct so that a pointer to it can be kept.
    struct Lane {
        uint256 word;
    }

    struct Seed {
        bytes32 value;
        uint32 epoch;
    }

    INodeRegistry public immutable registry;
    /// @notice Epochs after its own in which a batch may still be opened.
    uint32 public immutable REVEAL_GRACE;
    uint16 public immutable UNREVEALED_BPS;

    mapping(address key => NodeId) public nodeOf;
    /// @dev In slot `epoch % RING`.
    // slither-disable-next-line uninitialized-state written through the pointer of _laneOf
    mapping(NodeId node => Lane[RING_SPACE]) private _lanes;
    Seed[RING_SPACE] private _seeds;

    constructor(INodeRegistry registry_, uint32 revealGrace, uint16 unrevealedBps)
        Clock(registry_.EPOCH_BLOCKS(), registry_.RING(), registry_.LEAD())
    {
        // The delay shares a nibble with nothing else; a fault must be provable before its ring slot comes round.
        checkRange("REVEAL_GRACE", 2, 15, revealGrace);
        checkRange("UNREVEALED_BPS", 1, 10_000, unrevealedBps);
        registry = registry_;
        REVEAL_GRACE = revealGrace;
        UNREVEALED_BPS = unrevealedBps;
    }

    // --- seeds ----------------------------------------------------------------------------------------------------

    /// @inheritdoc ICommitLedger
    function recordSeed(bytes calldata header) external returns (uint32 epoch, bytes32 seed) {
        (bool known, uint256 number, bytes32 prevRandao) = Headers.proven(header);
        if (!known) revert BadHeader();
        if (number % EPOCH_BLOCKS != 1) revert NotASeedBlock(number);
        epoch = uint32(number / EPOCH_BLOCKS);
        Seed storage slot = _seeds[epoch % RING];
        if (slot.epoch == epoch) revert SeedKnown(epoch);
        if (slot.epoch > epoch) revert SeedOverwritten(epoch, slot.epoch);
        seed = keccak256(abi.encode(uint256(epoch), prevRandao));
        (slot.value, slot.epoch) = (seed, epoch);
        emit SeedRecorded(epoch, seed);
    }

    // --- commit and reveal ----------------------------------------------------------------------------------------

    /// @inheritdoc ICommitLedger
    function commit(uint32 epoch, bytes27 digest) external {
        NodeId node = _caller();
        if (epoch != _epoch()) revert WrongEpoch(uint32(_epoch()), epoch);
        Lane storage lane = _laneOf(node, epoch);
        uint256 word = lane.word;
        if (word >> 224 == epoch) revert AlreadyCommitted(node, epoch);
        if (_isSealed(word)) revert LaneSealed(node, uint32(word >> 224));
        lane.word = _sealed(epoch, digest);
    }

    /// @inheritdoc ICommitLedger
    function reveal(NodeId node, uint32 epoch, bytes calldata leaves, bytes32 manifest, bytes32 salt) external {
        Lane storage lane = _laneOf(node, epoch);
        uint256 word = lane.word;
        if (word >> 224 != epoch || !_isSealed(word)) revert NotSealed(node, epoch);
        uint256 now_ = _epoch();
        if (now_ <= epoch || now_ > uint256(epoch) + REVEAL_GRACE) {
            revert RevealOutOfTime(epoch + 1, epoch + REVEAL_GRACE, uint32(now_));
        }
        bytes27 actual = digestOf(node, epoch, leaves, manifest, salt);
        if (uint216(actual) != uint216(word)) revert WrongOpening(bytes27(uint216(word)), actual);
        lane.word = _opened(epoch, now_, leaves);
        emit Revealed(node, epoch, leaves, manifest);
    }

    /// @inheritdoc ICommitLedger
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function turn(uint32 epoch, bytes calldata leaves, bytes32 manifest, bytes32 salt, bytes27 digest) external {
        NodeId node = _caller();
        uint256 now_ = _epoch();
        // slither-disable-next-line uninitialized-local zero is where it begins
        bool done;
        if (epoch != 0) {
            uint32 previous = epoch - 1;
            Lane storage lane = _laneOf(node, previous);
            uint256 word = lane.word;
            bool inTime = now_ > previous && now_ <= uint256(previous) + REVEAL_GRACE;
            if (
                inTime && word >> 224 == previous && _isSealed(word)
                    && uint216(digestOf(node, previous, leaves, manifest, salt)) == uint216(word)
            ) {
                lane.word = _opened(previous, now_, leaves);
                emit Revealed(node, previous, leaves, manifest);
                done = true;
            }
        }
        if (epoch == now_) {
            Lane storage lane = _laneOf(node, epoch);
            uint256 word = lane.word;
            if (word >> 224 != epoch && !_isSealed(word)) {
                lane.word = _sealed(epoch, digest);
                done = true;
            }
        }
        if (!done) revert NothingToTurn(node, epoch);
    }

    function _sealed(uint32 epoch, bytes27 digest) private pure returns (uint256) {
        return uint256(epoch) << 224 | uint216(digest);
    }

    /// @dev The lane's word with the root of the batch and the delay of its opening.
    function _opened(uint32 epoch, uint256 now_, bytes calldata leaves) private pure returns (uint256) {
        (uint256 hashes, uint256 count) = _leafHashes(leaves);
        return uint256(epoch) << 224 | (now_ - epoch) << 216 | uint216(bytes27(Trees.batchRoot(hashes, count)));
    }

    /// @dev Checks that the leaves ascend strictly by (job, shard), so that nobody sells two answers to one question.
    // slither-disable-next-line divide-before-multiply the product is compared with the length
    function _leafHashes(bytes calldata leaves) private pure returns (uint256 hashes, uint256 count) {
        count = leaves.length / Trees.LEAF_BYTES;
        if (count * Trees.LEAF_BYTES != leaves.length) revert BadLeaves(leaves.length);
        if (count > MAX_LEAVES) revert TooManyLeaves(MAX_LEAVES, count);
        hashes = Words.room(count);
        uint256 next; // lowest key allowed
        unchecked {
            for (uint256 i; i < count; ++i) {
                uint256 key;
                uint256 hash;
                // The count was made from the length: every leaf lies inside.
                assembly ("memory-safe") {
                    let leaf := add(leaves.offset, mul(i, 44))
                    key := shr(160, calldataload(leaf))
                    calldatacopy(0x00, leaf, 44)
                    hash := keccak256(0x00, 44)
                }
                if (key < next) revert LeavesNotAscending(i);
                next = key + 1;
                Words.set(hashes, i, hash);
            }
        }
    }

    // --- faults ---------------------------------------------------------------------------------------------------

    /// @inheritdoc ICommitLedger
    // slither-disable-next-line unused-return the amount is in the registry's event
    function reportUnrevealed(NodeId node, uint32 epoch) external {
        Lane storage lane = _laneOf(node, epoch);
        uint256 word = lane.word;
        if (word >> 224 != epoch) revert NotSealed(node, epoch);
        if ((word >> 216) & UNREVEALED != 0) revert AlreadyPunished(node, epoch);
        if (!_isSealed(word)) revert NotSealed(node, epoch);
        uint256 now_ = _epoch();
        if (now_ <= uint256(epoch) + REVEAL_GRACE) revert GraceNotOver(epoch + REVEAL_GRACE, uint32(now_));
        lane.word = word | UNREVEALED << 216;
        emit UnrevealedReported(node, epoch, msg.sender);
        registry.slash(node, UNREVEALED_BPS, msg.sender, 0);
    }

    /// @inheritdoc ICommitLedger
    function markAbsent(NodeId node, uint32 epoch) external {
        if (msg.sender != registry.market()) revert NotMarket(msg.sender);
        Lane storage lane = _laneOf(node, epoch);
        uint256 word = lane.word;
        if (word >> 224 == epoch && (word >> 216) & ABSENT != 0) revert AlreadyPunished(node, epoch);
        if (word >> 224 >= epoch) revert NotAbsent(node, epoch, uint32(word >> 224));
        // The older fault must be reported first, or its evidence would be lost here.
        if (_isSealed(word)) revert LaneSealed(node, uint32(word >> 224));
        lane.word = uint256(epoch) << 224 | ABSENT << 216;
        emit AbsentMarked(node, epoch);
    }

    /// @inheritdoc ICommitLedger
    function markWrong(NodeId node, uint32 epoch) external {
        if (msg.sender != registry.court()) revert NotCourt(msg.sender);
        Lane storage lane = _laneOf(node, epoch);
        uint256 word = lane.word;
        if ((word >> 216) & WRONG != 0) revert AlreadyPunished(node, epoch);
        lane.word = word | WRONG << 216;
        emit WrongMarked(node, epoch);
    }

    // --- registry -------------------------------------------------------------------------------------------------

    /// @inheritdoc ICommitLedger
    function bind(address key, NodeId node) external {
        if (msg.sender != address(registry)) revert NotRegistry(msg.sender);
        nodeOf[key] = node;
    }

    // --- views ----------------------------------------------------------------------------------------------------

    /// @inheritdoc ICommitLedger
    function lanes(bytes calldata pairs) external view returns (uint256[] memory) {
        uint256 count = pairs.length >> 3;
        uint256[] memory words = Asks.room(count);
        uint256 begin = Words.begin(words);
        unchecked {
            for (uint256 i; i < count; ++i) {
                uint256 pair;
                assembly ("memory-safe") {
                    pair := shr(192, calldataload(add(pairs.offset, shl(3, i))))
                }
                Words.set(begin, i, _laneOf(NodeId.wrap(uint32(pair >> 32)), uint32(pair)).word);
            }
        }
        Asks.answerWith(words);
    }

    /// @inheritdoc ICommitLedger
    function digestOf(NodeId node, uint32 epoch, bytes calldata leaves, bytes32 manifest, bytes32 salt)
        public
        view
        returns (bytes27)
    {
        return bytes27(
            keccak256(abi.encode(TYPE, block.chainid, address(this), node, epoch, keccak256(leaves), manifest, salt))
        );
    }

    /// @inheritdoc ICommitLedger
    function seedOf(uint32 epoch) external view returns (bytes32) {
        Seed storage slot = _seeds[epoch % RING];
        if (slot.epoch != epoch) revert SeedUnknown(epoch);
        return slot.value;
    }

    function _caller() private view returns (NodeId node) {
        node = nodeOf[msg.sender];
        if (NodeId.unwrap(node) == 0) revert NotANode(msg.sender);
    }

    function _laneOf(NodeId node, uint32 epoch) private view returns (Lane storage lane) {
        Lane[RING_SPACE] storage ring = _lanes[node];
        uint256 slot = epoch % RING;
        assembly ("memory-safe") {
            lane.slot := add(ring.slot, slot) // below RING, which fits
        }
    }

    function _isSealed(uint256 word) private pure returns (bool) {
        return word != 0 && (word >> 216) & type(uint8).max == SEALED;
    }
}
