// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClock} from "./IClock.sol";
import {NodeId, PoolId} from "./Types.sol";

/// @title Who may be drawn: pools, operators, nodes, seats and the stake behind them
/// @notice An operator (cold account) registers a node (one agent with a hot key) in one pool and takes seats, each one
/// seat stake and one ticket in the draw. Everything that changes the draw counts for the epoch of `block.number + LEAD`
/// and takes effect in the epoch after it, so nobody can act on a seed it foresees.
/// @dev The past never changes: a draw of epoch `e` gives the same committee for as long as it is allowed, which is
/// `RING - 2` epochs (for a case from when the appealed attempt began: its list is read as of then). No seat entry, pause
/// interval or length checkpoint that such a draw reads is overwritten earlier.
///
/// Not promised: that a pool's list has no holes. A rival that stakes much and leaves slows a pool until `relocate` has
/// closed them.
interface INodeRegistry is IClock {
    /// @notice What a pool asks of nodes and of jobs.
    /// @param seatStake stake of one seat, in stake-token units; fixed for the pool's life
    /// @param floor lowest price of one unit of work, in payment-token units
    /// @param maxShardPay highest pay of one member for one shard, in payment-token units, at most 2^88 / 17
    /// @param maxSeatsPerNode most seats one node may hold, at most 8
    /// @param open whether new nodes, seats and jobs are accepted
    struct PoolTerms {
        uint96 seatStake;
        uint64 floor;
        uint96 maxShardPay;
        uint8 maxSeatsPerNode;
        bool open;
    }

    /// @notice A pool as it stands.
    /// @param length entries of the seat list, holes included, as of the next draw
    /// @param nodes distinct nodes that hold a seat and are not paused, as of the next draw
    struct PoolView {
        PoolTerms terms;
        uint32 length;
        uint32 nodes;
    }

    /// @notice A node as it stands.
    /// @param seats indices in the pool's seat list that this node holds
    /// @param pauses last four pause intervals, newest first, `start << 32 | end` each, `end` all ones while paused
    /// @param unbonding stake that is leaving and still slashable
    /// @param unlockEpoch first epoch in which `unbonding` can be withdrawn
    struct NodeView {
        address operator;
        address key;
        PoolId pool;
        uint96 stake;
        uint96 unbonding;
        uint32 unlockEpoch;
        uint32[] seats;
        uint64[4] pauses;
        bool paused;
    }

    event Wired(address indexed ledger, address indexed market, address indexed court);
    event PoolCreated(PoolId indexed pool, PoolTerms terms);
    event PoolTuned(PoolId indexed pool, PoolTerms terms);
    event NodeRegistered(NodeId indexed node, address indexed operator, PoolId indexed pool, address key);
    event NodeAnnounced(NodeId indexed node, string endpoint, bytes32 metadata);
    event KeyReplaced(NodeId indexed node, address indexed oldKey, address indexed newKey);
    /// @param heldSince epoch from which the node has held this seat, before `since` elsewhere in the list
    event SeatTaken(PoolId indexed pool, NodeId indexed node, uint32 seat, uint32 since, uint32 heldSince);
    event SeatEnded(PoolId indexed pool, NodeId indexed node, uint32 seat, uint32 until);
    event ListResized(PoolId indexed pool, uint32 length, uint32 fromEpoch);
    event NodePaused(NodeId indexed node, uint32 fromEpoch);
    event NodeResumed(NodeId indexed node, uint32 fromEpoch);
    event StakeAdded(NodeId indexed node, uint96 amount);
    event StakeUnbonding(NodeId indexed node, uint96 amount, uint32 unlockEpoch);
    event StakeWithdrawn(NodeId indexed node, address indexed operator, uint96 amount);
    /// @param reporter whose reward it is: the operator's where a node's key reported
    event Slashed(NodeId indexed node, uint96 amount, address indexed reporter, uint96 reward);
    event RewardCollected(address indexed reporter, uint256 amount);

    error AlreadyWired();
    error NotWired();
    error NotSlasher(address caller);
    error NotOperator(NodeId node, address expected, address actual);
    error NotOperatorOrKey(NodeId node, address actual);
    error UnknownPool(PoolId pool);
    error PoolExists(PoolId pool);
    error PoolClosed(PoolId pool);
    error BadTerms(string field, uint256 expected, uint256 actual);
    error UnknownNode(NodeId node);
    error BadSeatCount(uint256 expectedAtMost, uint256 actual);
    error SeatStakeFixed(uint96 expected, uint96 actual);
    error KeyInUse(address key, NodeId node);
    error KeyIsOperator(address key);
    error BadKeyConsent(address expected, address actual);
    error ConsentExpired(uint256 deadline, uint256 timestamp);
    error WrongTransfer(uint256 expected, uint256 actual);
    error AlreadyPaused(NodeId node);
    error NotPaused(NodeId node);
    error StakeBelowRequirement(uint256 expected, uint256 actual);
    error StillUnbonding(uint32 unlockEpoch, uint32 epoch);
    error NothingToWithdraw();
    error NothingToRelocate(PoolId pool);
    error PoolNotOpen(PoolId pool);
    error TooFewNodes(uint256 expected, uint256 actual);
    error PriceUnderFloor(uint256 floor, uint256 actual);
    error ShardPayTooHigh(uint256 max, uint256 actual);
    error DrawOutOfRange(uint32 oldest, uint32 newest, uint32 actual);

    // --- administration -------------------------------------------------------------------------------------------

    /// @notice Names the contracts that may slash, once and for ever. `court` may be zero: then none is ever added.
    function wire(address ledger, address market, address court) external;

    function createPool(PoolId pool, PoolTerms calldata terms) external;

    /// @notice Changes a pool's terms, except its seat stake. What has been posted or staked keeps its terms.
    function tunePool(PoolId pool, PoolTerms calldata terms) external;

    /// @notice Stops `register` and nothing else.
    function pause() external;
    function unpause() external;

    // --- operators ------------------------------------------------------------------------------------------------

    /// @notice Registers the caller's new node with `seats` seats, drawn from the epoch after the counting one.
    /// @param key hot key; it may do a node's daily work and nothing with stake
    /// @param deadline unix time after which the key's consent is void; until then it stands, also after a replacement
    /// @param consent the key's EIP-712 signature over `KeyConsent(address operator,address key,uint256 deadline)`
    /// @param endpoint base URL of the node's content gateway, or empty
    /// @param metadata sha256 of a JSON document about the node, or zero
    function register(
        PoolId pool,
        uint8 seats,
        address key,
        uint256 deadline,
        bytes calldata consent,
        string calldata endpoint,
        bytes32 metadata
    ) external returns (NodeId node);

    /// @notice Replaces a node's key. The old one is dead at once; duties go on under the new one.
    function replaceKey(NodeId node, address key, uint256 deadline, bytes calldata consent) external;

    /// @notice Takes more seats, filling dead holes first, and pulls the stake that is missing for them.
    function takeSeats(NodeId node, uint8 seats) external;

    /// @notice Ends the node's last `seats` seats; their stake unbonds for `UNBONDING` epochs and stays slashable.
    function leaveSeats(NodeId node, uint8 seats) external;

    /// @notice Adds stake without seats, to come back over the requirement after a slash.
    function addStake(NodeId node, uint96 amount) external;

    /// @notice Starts unbonding stake above the requirement of the seats held.
    function unbondExcess(NodeId node) external;

    /// @notice Pays unbonded stake to the operator. Callable by anyone.
    function withdrawStake(NodeId node) external returns (uint96 amount);

    /// @notice Pays a reporter's collected rewards, in stake tokens.
    function collectReward(address reporter) external returns (uint256 amount);

    // --- operator or key ------------------------------------------------------------------------------------------

    /// @notice Publishes where the node is reached and what it says of itself.
    function announce(NodeId node, string calldata endpoint, bytes32 metadata) external;

    /// @notice Leaves the draw from the next counted epoch on; duties already drawn stand.
    function pauseNode(NodeId node) external;

    /// @notice Joins the draw again; the stake must cover the seats.
    function resumeNode(NodeId node) external;

    // --- anyone ---------------------------------------------------------------------------------------------------

    /// @notice Moves the pool's last live seat into its oldest dead hole, or shortens the list over dead entries, or drops
    /// sixteen positions from its queue of holes that are none any more.
    function relocate(PoolId pool) external;

    // --- wired contracts ------------------------------------------------------------------------------------------

    /// @notice Takes a share of the node's whole stake, unbonding included, rounded up: a tenth is the reporter's, the
    /// rest is burned. A node that falls under its requirement is paused.
    /// @param reporter whose the tenth is, as `payeeOf` says: who has proven the fault, or an accuser in his turn
    /// @param absentIn epoch in which the node did not serve, 0 for another fault: it is paused too, unless it has come back
    /// from a pause since
    function slash(NodeId node, uint16 bps, address reporter, uint32 absentIn) external returns (uint96 amount);

    // --- views ----------------------------------------------------------------------------------------------------

    /// @notice Draws many committees. Each draw is two words: the seed of epoch `A`, and
    /// `jobId << 192 | shard << 160 | A << 128 | pool << 112 | size << 104 | case`. For a case (1) the Court is asked who may
    /// not judge it.
    /// @return slots two words a draw: slots 0–7 and 8–14 as big-endian uint32 node ids from the left; 0 is void
    function committees(uint256[] calldata draws) external view returns (uint256[] memory slots);

    /// @notice Refuses what a pool does not take: a job for `nodes` distinct nodes at `unitPrice`, of which one earns `pay`
    /// for a shard.
    /// @return length entries of the seat list, as of the next draw
    function admit(PoolId pool, uint256 nodes, uint256 unitPrice, uint256 pay) external view returns (uint256 length);

    function poolView(PoolId pool) external view returns (PoolView memory);
    function nodeView(NodeId node) external view returns (NodeView memory);
    function operatorOf(NodeId node) external view returns (address);
    /// @notice For whom an account appeals and reports: a node's key pays bonds and earns rewards for its operator, as it
    /// must never hold what can be stolen with it; anybody else acts for himself, an operator too unless it has consented
    /// to be another operator's key.
    function payeeOf(address caller) external view returns (address);
    function seatAt(PoolId pool, uint32 index)
        external
        view
        returns (NodeId node, uint32 since, uint32 until, uint32 heldSince);
    /// @notice Length of the seat list that draws of `epoch` use.
    function lengthAt(PoolId pool, uint32 epoch) external view returns (uint32);
    function rewardOf(address reporter) external view returns (uint256);
    function nodeCount() external view returns (uint32);
    function maySlash(address caller) external view returns (bool);
    function ledger() external view returns (address);
    function market() external view returns (address);
    function court() external view returns (address);
    function UNBONDING() external view returns (uint32);
}
