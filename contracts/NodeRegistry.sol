// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {NodeId, PoolId} from "./interfaces/Types.sol";
import {ICommitLedger} from "./interfaces/ICommitLedger.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {Payout} from "./libraries/Payout.sol";
import {Clock} from "./Clock.sol";
import {Pauses} from "./registry/Pauses.sol";
import {SeatList} from "./registry/SeatList.sol";

/// @title NodeRegistry
/// @notice Pools, nodes, seats and stake; every promise is in INodeRegistry.
contract NodeRegistry is SeatList, AccessManaged, Pausable, EIP712 {
    using SafeERC20 for IERC20;

    struct Node {
        // slot 0: who, and how much must be staked
        address operator;
        PoolId pool;
        uint8 seats;
        // slot 1: what daily work and slashes touch
        address key;
        uint96 stake;
        // slot 2: what is leaving
        uint96 unbonding;
        uint32 unlockEpoch;
    }

    bytes32 public constant KEY_CONSENT_TYPEHASH =
        keccak256("KeyConsent(address operator,address key,uint256 deadline)");

    /// @dev A shard's pay for fifteen members and ten per cent of fee fits 88 bits: what a job and a case keep.
    uint96 private constant MAX_SHARD_PAY = type(uint88).max / 17;

    address public immutable stakeToken;
    /// @notice Epochs for which leaving stake stays slashable: longer than any fault can be proven.
    uint32 public immutable UNBONDING;

    address public ledger;
    address public market;
    uint32 public nodeCount;

    mapping(NodeId node => Node) private _nodes;
    mapping(address reporter => uint256) public rewardOf;

    constructor(address authority, address stakeToken_, uint32 epochBlocks, uint32 ring, uint32 lead)
        AccessManaged(authority)
        EIP712("Quorate NodeRegistry", "1")
        Clock(epochBlocks, ring, lead)
    {
        stakeToken = stakeToken_;
        UNBONDING = 2 * ring;
    }

    // --- administration -------------------------------------------------------------------------------------------

    /// @inheritdoc INodeRegistry
    function wire(address ledger_, address market_, address court_) external restricted {
        if (ledger != address(0)) revert AlreadyWired();
        if (ledger_ == address(0) || market_ == address(0)) revert NotWired();
        (ledger, market, court) = (ledger_, market_, court_);
        emit Wired(ledger_, market_, court_);
    }

    /// @inheritdoc INodeRegistry
    function createPool(PoolId pool, PoolTerms calldata terms) external restricted {
        if (_pools[pool].seatStake != 0) revert PoolExists(pool);
        checkRange("seatStake", 1, type(uint96).max / SEATS_LIMIT, terms.seatStake);
        _pools[pool].seatStake = terms.seatStake;
        _setTerms(pool, terms);
        emit PoolCreated(pool, terms);
    }

    /// @inheritdoc INodeRegistry
    function tunePool(PoolId pool, PoolTerms calldata terms) external restricted {
        uint96 seatStake = _existing(pool).seatStake;
        if (terms.seatStake != seatStake) revert SeatStakeFixed(seatStake, terms.seatStake);
        _setTerms(pool, terms);
        emit PoolTuned(pool, terms);
    }

    function _setTerms(PoolId pool, PoolTerms calldata terms) private {
        checkRange("maxSeatsPerNode", 1, SEATS_LIMIT, terms.maxSeatsPerNode);
        checkRange("maxShardPay", 1, MAX_SHARD_PAY, terms.maxShardPay);
        Pool storage p = _pools[pool];
        p.floor = terms.floor;
        p.maxShardPay = terms.maxShardPay;
        p.maxSeatsPerNode = terms.maxSeatsPerNode;
        p.open = terms.open;
    }

    /// @inheritdoc INodeRegistry
    function pause() external restricted {
        _pause();
    }

    /// @inheritdoc INodeRegistry
    function unpause() external restricted {
        _unpause();
    }

    // --- operators ------------------------------------------------------------------------------------------------

    /// @inheritdoc INodeRegistry
    // slither-disable-next-line reentrancy-no-eth the ledger is wired for good and calls nobody
    function register(
        PoolId pool,
        uint8 seats,
        address key,
        uint256 deadline,
        bytes calldata consent,
        string calldata endpoint,
        bytes32 metadata
    ) external whenNotPaused returns (NodeId node) {
        if (ledger == address(0)) revert NotWired();
        node = NodeId.wrap(++nodeCount);
        Node storage n = _nodes[node];
        n.operator = msg.sender;
        n.pool = pool;
        emit NodeRegistered(node, msg.sender, pool, key);
        _bindKey(node, n, key, deadline, consent);
        emit NodeAnnounced(node, endpoint, metadata);
        _grow(node, n, seats);
    }

    /// @inheritdoc INodeRegistry
    // slither-disable-next-line reentrancy-no-eth the ledger is wired for good and calls nobody
    function replaceKey(NodeId node, address key, uint256 deadline, bytes calldata consent) external {
        Node storage n = _owned(node);
        address old = n.key;
        ICommitLedger(ledger).bind(old, NodeId.wrap(0));
        _bindKey(node, n, key, deadline, consent);
        emit KeyReplaced(node, old, key);
    }

    /// @inheritdoc INodeRegistry
    function takeSeats(NodeId node, uint8 seats) external {
        _grow(node, _owned(node), seats);
    }

    /// @inheritdoc INodeRegistry
    function leaveSeats(NodeId node, uint8 seats) external {
        Node storage n = _owned(node);
        if (seats == 0 || seats > n.seats) revert BadSeatCount(n.seats, seats);
        _shrink(node, n, seats);
    }

    /// @inheritdoc INodeRegistry
    function addStake(NodeId node, uint96 amount) external {
        Node storage n = _owned(node);
        n.stake += amount;
        emit StakeAdded(node, amount);
        _pull(amount);
    }

    /// @inheritdoc INodeRegistry
    function unbondExcess(NodeId node) external {
        Node storage n = _owned(node);
        if (n.stake <= _requirement(n)) revert NothingToWithdraw();
        _unbond(node, n);
    }

    /// @inheritdoc INodeRegistry
    function withdrawStake(NodeId node) external returns (uint96 amount) {
        Node storage n = _known(node);
        amount = n.unbonding;
        if (amount == 0) revert NothingToWithdraw();
        if (_epoch() < n.unlockEpoch) revert StillUnbonding(n.unlockEpoch, uint32(_epoch()));
        n.unbonding = 0;
        emit StakeWithdrawn(node, n.operator, amount);
        IERC20(stakeToken).safeTransfer(n.operator, amount);
    }

    /// @inheritdoc INodeRegistry
    function collectReward(address reporter) external returns (uint256 amount) {
        amount = rewardOf[reporter];
        if (amount == 0) revert NothingToWithdraw();
        rewardOf[reporter] = 0;
        emit RewardCollected(reporter, amount);
        IERC20(stakeToken).safeTransfer(reporter, amount);
    }

    // --- operator or key ------------------------------------------------------------------------------------------

    /// @inheritdoc INodeRegistry
    function announce(NodeId node, string calldata endpoint, bytes32 metadata) external {
        _operated(node);
        emit NodeAnnounced(node, endpoint, metadata);
    }

    /// @inheritdoc INodeRegistry
    function pauseNode(NodeId node) external {
        Node storage n = _operated(node);
        if (Pauses.isOpen(_pauses[node])) revert AlreadyPaused(node);
        _pauseNode(node, n);
    }

    /// @inheritdoc INodeRegistry
    function resumeNode(NodeId node) external {
        Node storage n = _operated(node);
        if (!Pauses.isOpen(_pauses[node])) revert NotPaused(node);
        if (n.stake < _requirement(n)) revert StakeBelowRequirement(_requirement(n), n.stake);
        uint256 from = _countingEpoch() + 1;
        _pauses[node] = Pauses.close(_pauses[node], from);
        if (n.seats != 0) ++_pools[n.pool].nodes;
        emit NodeResumed(node, uint32(from));
    }

    // --- wired contracts ------------------------------------------------------------------------------------------

    /// @inheritdoc INodeRegistry
    function slash(NodeId node, uint16 bps, address reporter, uint32 absentIn) external returns (uint96 amount) {
        if (!maySlash(msg.sender)) revert NotSlasher(msg.sender);
        Node storage n = _known(node);
        (uint256 penalty, uint256 reward) = Payout.penalty(uint256(n.stake) + n.unbonding, bps);
        amount = uint96(penalty);
        // What is leaving pays first, so that a small fault does not stop a node that still covers its seats.
        uint96 fromUnbonding = amount < n.unbonding ? amount : n.unbonding;
        n.unbonding -= fromUnbonding;
        n.stake -= amount - fromUnbonding;
        address payee = payeeOf(reporter);
        rewardOf[payee] += reward;
        emit Slashed(node, amount, payee, uint96(reward));
        // Whoever has come back since is no ghost: reports held back must not use up its pauses one by one.
        bool ghost = absentIn != 0 && Pauses.lastEnd(_pauses[node]) <= absentIn;
        if ((ghost || n.stake < _requirement(n)) && !Pauses.isOpen(_pauses[node])) _pauseNode(node, n);
        ERC20Burnable(stakeToken).burn(amount - reward);
    }

    // --- views ----------------------------------------------------------------------------------------------------

    /// @inheritdoc INodeRegistry
    function admit(PoolId pool, uint256 nodes, uint256 unitPrice, uint256 pay) external view returns (uint256) {
        Pool storage p = _existing(pool);
        if (!p.open) revert PoolNotOpen(pool);
        if (nodes > p.nodes) revert TooFewNodes(nodes, p.nodes);
        if (unitPrice < p.floor) revert PriceUnderFloor(p.floor, unitPrice);
        if (pay > p.maxShardPay) revert ShardPayTooHigh(p.maxShardPay, pay);
        return p.length;
    }

    /// @inheritdoc INodeRegistry
    function poolView(PoolId pool) external view returns (PoolView memory) {
        Pool storage p = _existing(pool);
        return PoolView(PoolTerms(p.seatStake, p.floor, p.maxShardPay, p.maxSeatsPerNode, p.open), p.length, p.nodes);
    }

    /// @inheritdoc INodeRegistry
    function nodeView(NodeId node) external view returns (NodeView memory v) {
        Node storage n = _known(node);
        (v.operator, v.key, v.pool) = (n.operator, n.key, n.pool);
        (v.stake, v.unbonding, v.unlockEpoch) = (n.stake, n.unbonding, n.unlockEpoch);
        v.seats = new uint32[](n.seats);
        for (uint256 i; i < n.seats; ++i) {
            v.seats[i] = uint32(_held[node] >> (32 * (n.seats - 1 - i))) - 1;
        }
        for (uint256 i; i < 4; ++i) {
            v.pauses[i] = uint64(_pauses[node] >> (64 * i));
        }
        v.paused = Pauses.isOpen(_pauses[node]);
    }

    /// @inheritdoc INodeRegistry
    function operatorOf(NodeId node) external view returns (address) {
        return _known(node).operator;
    }

    /// @inheritdoc INodeRegistry
    function payeeOf(address caller) public view returns (address) {
        NodeId node = ICommitLedger(ledger).nodeOf(caller);
        return NodeId.unwrap(node) == 0 ? caller : _nodes[node].operator;
    }

    /// @inheritdoc INodeRegistry
    function maySlash(address caller) public view returns (bool) {
        return caller != address(0) && (caller == ledger || caller == market || caller == court);
    }

    // --- inside ---------------------------------------------------------------------------------------------------

    // slither-disable-next-line unused-return only the signer matters
    function _bindKey(NodeId node, Node storage n, address key, uint256 deadline, bytes calldata consent) private {
        if (block.timestamp > deadline) revert ConsentExpired(deadline, block.timestamp);
        if (key == msg.sender) revert KeyIsOperator(key);
        bytes32 hash = keccak256(abi.encode(KEY_CONSENT_TYPEHASH, msg.sender, key, deadline));
        (address signer,,) = ECDSA.tryRecover(_hashTypedDataV4(hash), consent);
        if (signer != key || key == address(0)) revert BadKeyConsent(key, signer);
        NodeId bound = ICommitLedger(ledger).nodeOf(key);
        if (NodeId.unwrap(bound) != 0) revert KeyInUse(key, bound);
        n.key = key;
        ICommitLedger(ledger).bind(key, node);
    }

    function _grow(NodeId node, Node storage n, uint8 seats) private {
        PoolId pool = n.pool;
        Pool storage p = _existing(pool);
        if (!p.open) revert PoolClosed(pool);
        uint256 held = n.seats;
        if (seats == 0 || held + seats > p.maxSeatsPerNode) {
            revert BadSeatCount(p.maxSeatsPerNode > held ? p.maxSeatsPerNode - held : 0, seats);
        }
        n.seats = uint8(held + seats);
        if (held == 0 && !Pauses.isOpen(_pauses[node])) ++p.nodes;
        for (uint256 i; i < seats; ++i) {
            _takeSeat(pool, node);
        }
        uint256 required = _requirement(n);
        if (n.stake >= required) return;
        uint96 missing = uint96(required - n.stake);
        n.stake = uint96(required);
        emit StakeAdded(node, missing);
        _pull(missing);
    }

    function _shrink(NodeId node, Node storage n, uint8 seats) private {
        for (uint256 i; i < seats; ++i) {
            _endSeat(n.pool, node);
        }
        n.seats -= seats;
        if (n.seats == 0 && !Pauses.isOpen(_pauses[node])) --_pools[n.pool].nodes;
        if (n.stake > _requirement(n)) _unbond(node, n);
    }

    /// @dev Everything above the requirement starts to leave; what was leaving already waits with it.
    function _unbond(NodeId node, Node storage n) private {
        uint96 required = uint96(_requirement(n));
        uint96 excess = n.stake - required;
        n.stake = required;
        n.unbonding += excess;
        n.unlockEpoch = uint32(_epoch() + UNBONDING);
        emit StakeUnbonding(node, excess, n.unlockEpoch);
    }

    /// @dev A pause whose interval would push out one that draws may still read ends the node's seats instead.
    function _pauseNode(NodeId node, Node storage n) private {
        uint256 from = _countingEpoch() + 1;
        (uint256 next, bool lost) = Pauses.open(_pauses[node], from, RING);
        if (lost) {
            if (n.seats != 0) _shrink(node, n, n.seats);
            return;
        }
        if (_pauses[node] == 0) _flagSeats(n.pool, node);
        _pauses[node] = next;
        if (n.seats != 0) --_pools[n.pool].nodes;
        emit NodePaused(node, uint32(from));
    }

    function _pull(uint256 amount) private {
        uint256 before = IERC20(stakeToken).balanceOf(address(this));
        IERC20(stakeToken).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(stakeToken).balanceOf(address(this)) - before;
        if (received != amount) revert WrongTransfer(amount, received);
    }

    function _requirement(Node storage n) private view returns (uint256) {
        return uint256(n.seats) * _pools[n.pool].seatStake;
    }

    function _existing(PoolId pool) private view returns (Pool storage p) {
        p = _pools[pool];
        if (p.seatStake == 0) revert UnknownPool(pool);
    }

    function _known(NodeId node) private view returns (Node storage n) {
        n = _nodes[node];
        if (n.operator == address(0)) revert UnknownNode(node);
    }

    function _owned(NodeId node) private view returns (Node storage n) {
        n = _known(node);
        if (n.operator != msg.sender) revert NotOperator(node, n.operator, msg.sender);
    }

    function _operated(NodeId node) private view returns (Node storage n) {
        n = _known(node);
        if (n.operator != msg.sender && n.key != msg.sender) revert NotOperatorOrKey(node, msg.sender);
    }
}
