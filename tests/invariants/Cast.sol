// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Story} from "../contracts/support/Story.sol";

/// @title Who acts in the invariant runs, the clock, and what is remembered of every shard, batch and stake
/// @dev Nodes 1 … HONEST serve honestly and punctually; the rest do what they like. Small numbers, so that pay matures,
/// holes die and stake unbonds within a run: a ring of 32 epochs, a life of place most 22.
abstract contract Cast is Story {
    uint256 internal constant HONEST = 6;
    uint256 internal constant NODES = 16;
    uint256 internal constant MOST_NODES = 22;
    uint256 internal constant EPOCH = 10;
    uint256 internal constant RING = 32;
    uint256 internal constant GRACE = 4;
    uint256 internal constant SETTLE_GRACE = 3;
    uint256 internal constant REPORT = 2;
    uint256 internal constant JUDGES = 5;
    address internal constant BURNED = 0x000000000000000000000000000000000000dEaD;

    enum Lane {
        NONE,
        SEALED,
        OPENED,
        PUNISHED,
        ABSENT
    }

    /// @dev One shard of a job, or a case, as its observers know it.
    struct Piece {
        // slot 0: shape and clock
        uint64 job;
        uint32 shard;
        uint32 first;
        uint8 work;
        uint8 attempts;
        uint8 committee;
        uint8 quorum;
        uint8 appealEpochs;
        uint8 drawn;
        uint8 mode;
        bool isCase;
        // slot 1: settlement
        bool settled;
        uint8 attempt;
        uint16 paid;
        uint16 claimed;
        uint32 settledAt;
        uint128 pay;
        // slot 2: its case, or what it is a case of, by number
        uint32 caseAt;
        uint32 about;
        uint32 ended;
        bool resolved;
        bool caseClosed;
        bool gone;
        uint64 accuserDue;
        uint64 requesterDue;
        // slots 3 …
        bytes32 root;
        bytes32 verdict;
        address accuser;
        uint256[2] slots;
        bytes32[] path;
    }

    /// @dev A job's money.
    struct Book {
        uint128 escrowed;
        uint128 paid;
        uint128 fees;
        uint128 refunded;
        address requester;
        uint16 feeBps;
        uint32 closableFrom;
        uint8 pieces;
        bool closed;
        uint32 pace;
        uint32 postEpoch;
    }

    /// @dev A node's stake.
    struct Estate {
        uint96 stake;
        uint96 unbonding;
        uint32 unlock;
        uint8 seats;
        uint128 deposited;
        uint128 withdrawn;
        uint128 slashed;
        uint128 courtLoss;
    }

    address internal accuser;
    address[] internal accounts;

    Piece[] internal pieces; // 0 is nobody
    uint256[] internal live; // numbers of the pieces that can still change
    mapping(uint256 job => Book) internal books;
    mapping(uint256 node => uint256 epoch) internal firstSeat;
    uint256 internal jobs;
    mapping(uint256 node => Estate) internal estates;
    uint256 internal nodes;

    // A lane is `node << 32 | epoch`.
    mapping(uint256 lane => Lane) internal laneOf;
    mapping(uint256 lane => uint256) internal delayOf;
    mapping(uint256 lane => bool) internal wrongMarked;
    mapping(uint256 lane => uint256[] keys) internal todo;
    mapping(uint256 lane => mapping(uint256 key => bytes32 root)) internal answerOf;
    mapping(uint256 node => mapping(uint256 slot => uint256 epoch)) internal holder;
    mapping(uint256 epoch => uint256[] nodes) internal due;
    mapping(uint256 lane => bool) internal isDue;
    uint256[] internal toOpen;
    uint256[] internal neverOpened;

    mapping(string action => uint256) public done;
    mapping(string action => uint256) public donePaused;
    uint256 public calls;
    uint256 internal block_;
    uint256 internal drawnFor;
    uint256 internal seedFor;
    bool internal paused;
    bool internal registryPaused;
    bool internal poolOpen = true;
    address internal feeRecipient;
    uint16 internal feeBps;

    // What the last action touched, for the invariants.
    uint256 public lastPiece;
    uint256 public lastNode;
    uint256 public lastLane;
    bool internal forfeiting;
    address internal spender;

    constructor() {
        setUp();
        accuser = _actor("accuser");
        accounts = [requester, operator, rival, stranger, accuser, owner, BURNED];
        for (uint256 i; i < accounts.length - 1; ++i) {
            vm.prank(requester);
            payToken.transfer(accounts[i], 1e22);
            vm.startPrank(accounts[i]);
            payToken.approve(address(market), type(uint256).max);
            payToken.approve(address(court), type(uint256).max);
            vm.stopPrank();
        }
        block_ = vm.getBlockNumber();
        for (uint256 i; i < NODES; ++i) {
            _enlist(i < HONEST ? operator : rival, uint8(1 + i % 2));
        }
        pieces.push();
        _to((_count() + 1) * EPOCH + 2);
    }

    function _shape() internal view override returns (Shape memory shape_) {
        shape_ = super._shape();
        (shape_.ring, shape_.revealGrace) = (uint32(RING), uint32(GRACE));
    }

    function _params() internal pure override returns (MarketParams memory) {
        return MarketParams(uint32(SETTLE_GRACE), uint32(REPORT), 100, 10);
    }

    function _courtOf() internal override returns (address) {
        return _newCourt();
    }

    // --- clock ----------------------------------------------------------------------------------------------------

    /// @dev Cheats of one call are gone in the next: the block is set again.
    modifier act() {
        vm.roll(block_);
        ++calls;
        (lastPiece, lastNode, lastLane, spender, forfeiting) = (0, 0, 0, address(0), false);
        _;
    }

    function _to(uint256 number) internal {
        block_ = number;
        vm.roll(number);
    }

    function _now() internal view returns (uint256) {
        return block_ / EPOCH;
    }

    /// @dev The counting epoch.
    function _count() internal view returns (uint256) {
        return (block_ + 4) / EPOCH;
    }

    function _did(string memory action) internal {
        ++done[action];
        if (paused) ++donePaused[action];
    }

    function _hash(uint256 a, uint256 b) internal pure returns (uint256 hash) {
        assembly ("memory-safe") {
            mstore(0, a)
            mstore(32, b)
            hash := keccak256(0, 64)
        }
    }

    // --- nodes and stake ------------------------------------------------------------------------------------------

    function _isHonest(uint256 node) internal pure returns (bool) {
        return node <= HONEST;
    }

    function _operator(uint256 node) internal view returns (address) {
        return node <= HONEST ? operator : rival;
    }

    function _enlist(address who, uint8 seats) internal {
        _register(who, seats);
        firstSeat[++nodes] = _count() + 1;
        _ghostSeats(nodes, seats);
    }

    /// @dev The node has `seats` more: what its stake lacks is pulled.
    function _ghostSeats(uint256 node, uint256 seats) internal {
        Estate storage e = estates[node];
        e.seats += uint8(seats);
        uint256 required = uint256(e.seats) * shape.seatStake;
        if (e.stake >= required) return;
        e.deposited += uint128(required - e.stake);
        e.stake = uint96(required);
    }

    function _ghostUnbond(uint256 node) internal {
        Estate storage e = estates[node];
        uint256 required = uint256(e.seats) * shape.seatStake;
        if (e.stake <= required) return;
        e.unbonding += uint96(e.stake - required);
        e.stake = uint96(required);
        e.unlock = uint32(_now() + 2 * RING);
    }

    // --- pieces ---------------------------------------------------------------------------------------------------

    function _key(Piece storage p) internal view returns (uint256) {
        return uint256(p.job) << 32 | p.shard;
    }

    function _startAt(Piece storage p, uint256 attempt) internal view returns (uint256) {
        return p.first + attempt * (uint256(p.work) + 2);
    }

    function _commitAt(Piece storage p, uint256 attempt) internal view returns (uint256) {
        return _startAt(p, attempt) + p.work - 1;
    }

    function _lastAt(Piece storage p) internal view returns (uint256) {
        return _startAt(p, p.attempts) - 1 + SETTLE_GRACE;
    }

    function _slot(uint256 slots, uint256 i) internal pure returns (uint256) {
        return uint32(slots >> (224 - 32 * i));
    }

    function _laneAt(uint256 node, uint256 epoch) internal pure returns (uint256) {
        return node << 32 | epoch;
    }

    /// @dev The registry still answers for the draw of this attempt, and the ledger holds its seed. A case is drawn over
    /// the list as it was before the appealed attempt: that must be in reach, too.
    function _isInReach(Piece storage p, uint256 attempt) internal view returns (bool) {
        Piece storage about = pieces[p.about];
        uint256 oldest = p.isCase ? _startAt(about, about.attempt) : _startAt(p, attempt);
        return oldest + RING >= _now() + 2;
    }

    function _bits(uint256 mask) internal pure returns (uint256 count) {
        for (; mask != 0; mask &= mask - 1) {
            ++count;
        }
    }

    function _right(uint256 key) internal pure returns (bytes32) {
        return bytes32(_hash(key, 1));
    }

    function _false(uint256 key) internal pure returns (bytes32) {
        return bytes32(_hash(key, 2));
    }

    /// @dev What a piece is about: itself, or the shard that was appealed.
    function _subject(Piece storage p) internal view returns (uint256) {
        return _key(p.isCase ? pieces[p.about] : p);
    }

    /// @dev Takes it off the list of what can still change.
    function _retire(uint256 place) internal {
        pieces[live[place]].gone = true;
        live[place] = live[live.length - 1];
        live.pop();
    }
}
