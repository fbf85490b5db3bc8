// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {ICommitLedger} from "../../../contracts/interfaces/ICommitLedger.sol";
import {INodeRegistry} from "../../../contracts/interfaces/INodeRegistry.sol";
import {NodeId, PoolId} from "../../../contracts/interfaces/Types.sol";
import {Deployments, IDeployedLedger, IDeployedRegistry, IDeployedToken} from "./Deployments.sol";
import {HeaderBytes} from "./HeaderBytes.sol";

/// @title A registry and a ledger, a cast, a clock, and what the cast does every day
/// @dev `setUp` deploys with the numbers of `_shape`, and `_market` for the market's address, both for tests to override.
/// A test starts in block 10 of epoch `START`.
abstract contract Base is Deployments {
    struct Shape {
        uint32 epochBlocks;
        uint32 ring;
        uint32 lead;
        uint32 revealGrace;
        uint16 unrevealedBps;
        uint96 seatStake;
        uint8 maxSeatsPerNode;
    }

    uint32 internal constant START = 1_000;
    uint256 internal constant SUPPLY = 1_000_000_000 ether;
    uint32 internal constant OPEN = type(uint32).max;

    address internal requester = _actor("requester");
    address internal operator = _actor("operator");
    address internal rival = _actor("rival");
    address internal owner = _actor("owner");
    address internal stranger = _actor("stranger");

    Shape internal shape;
    PoolId internal pool = PoolId.wrap(1);
    IAccessManager internal authority;
    IDeployedToken internal stakeToken;
    IDeployedRegistry internal registry;
    IDeployedLedger internal ledger;

    mapping(NodeId node => uint256) internal secretOf;
    mapping(NodeId node => address) internal keyOf;
    /// @dev Leaves that a node sealed for an epoch through `_commit`.
    mapping(NodeId node => mapping(uint256 epoch => bytes)) internal batchOf;
    uint256 private _secrets;

    function setUp() public virtual {
        shape = _shape();
        vm.warp(1_700_000_000);
        vm.etch(HeaderBytes.HISTORY, HeaderBytes.HISTORY_CODE);
        authority = _newAuthority(owner);
        stakeToken = _newToken(address(authority), owner, SUPPLY, SUPPLY * 2);
        registry = _newRegistry(address(authority), _stakeToken(), shape.epochBlocks, shape.ring, shape.lead);
        ledger = _newLedger(registry, shape.revealGrace, shape.unrevealedBps);
        (address market_, address court_) = _market();
        vm.startPrank(owner);
        registry.wire(address(ledger), market_, court_);
        registry.createPool(pool, _terms());
        vm.stopPrank();
        _fund(operator);
        _fund(rival);
        _rollTo(START);
    }

    // --- what a test may change -----------------------------------------------------------------------------------

    function _shape() internal view virtual returns (Shape memory) {
        return Shape({
            epochBlocks: 10,
            ring: 128,
            lead: 4,
            revealGrace: 8,
            unrevealedBps: 1_000,
            seatStake: 1_000 ether,
            maxSeatsPerNode: 4
        });
    }

    function _terms() internal view virtual returns (INodeRegistry.PoolTerms memory) {
        return INodeRegistry.PoolTerms({
            seatStake: shape.seatStake, floor: 1, maxShardPay: 1e18, maxSeatsPerNode: shape.maxSeatsPerNode, open: true
        });
    }

    function _stakeToken() internal virtual returns (address) {
        return address(stakeToken);
    }

    /// @dev Market and court that the registry is wired to. Story deploys a real market here.
    function _market() internal virtual returns (address market_, address court_) {
        return (_actor("market"), address(0));
    }

    // --- cast -----------------------------------------------------------------------------------------------------

    function _actor(string memory name) internal returns (address actor) {
        actor = vm.addr(uint256(keccak256(bytes(name))));
        vm.label(actor, name);
    }

    /// @dev Stake tokens and an allowance for whoever registers.
    function _fund(address who) internal {
        vm.prank(owner);
        stakeToken.transfer(who, SUPPLY / 1_000);
        vm.prank(who);
        stakeToken.approve(address(registry), type(uint256).max);
    }

    // --- clock ----------------------------------------------------------------------------------------------------

    function _epoch() internal view returns (uint256) {
        return vm.getBlockNumber() / shape.epochBlocks;
    }

    /// @dev Epoch that an action counts for now; it takes effect in the next.
    function _counting() internal view returns (uint256) {
        return (vm.getBlockNumber() + shape.lead) / shape.epochBlocks;
    }

    /// @dev To the first block of an epoch.
    function _rollTo(uint256 epoch) internal {
        _rollTo(epoch, 0);
    }

    function _rollTo(uint256 epoch, uint256 offset) internal {
        vm.roll(epoch * shape.epochBlocks + offset);
    }

    // --- seeds ----------------------------------------------------------------------------------------------------

    function _randao(uint256 epoch) internal view virtual returns (bytes32) {
        return keccak256(abi.encode("randao", epoch));
    }

    function _seedOf(uint256 epoch) internal view returns (bytes32) {
        return keccak256(abi.encode(epoch, _randao(epoch)));
    }

    function _header(uint256 epoch) internal view returns (bytes memory) {
        return HeaderBytes.encode(epoch * shape.epochBlocks + 1, _randao(epoch));
    }

    /// @dev Makes the chain know this header's hash, natively for 256 blocks, then in the history contract.
    function _publish(uint256 number, bytes memory header) internal {
        uint256 now_ = vm.getBlockNumber();
        if (number + 256 >= now_) vm.setBlockhash(number, keccak256(header));
        else vm.store(HeaderBytes.HISTORY, bytes32(number % 8_191), keccak256(header));
    }

    /// @dev Records the seed of a past or running epoch whose second block is over.
    function _recordSeed(uint256 epoch) internal returns (bytes32 seed) {
        bytes memory header = _header(epoch);
        _publish(epoch * shape.epochBlocks + 1, header);
        (, seed) = ledger.recordSeed(header);
    }

    // --- nodes ----------------------------------------------------------------------------------------------------

    function _secret() internal returns (uint256) {
        return uint256(keccak256(abi.encode("key", ++_secrets)));
    }

    function _consent(uint256 secret, address operator_, uint256 deadline) internal view returns (bytes memory) {
        return _consent(secret, operator_, vm.addr(secret), deadline);
    }

    function _consent(uint256 secret, address operator_, address key, uint256 deadline)
        internal
        view
        returns (bytes memory)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Quorate NodeRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 consent = keccak256(
            abi.encode(keccak256("KeyConsent(address operator,address key,uint256 deadline)"), operator_, key, deadline)
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, keccak256(abi.encodePacked(hex"1901", domain, consent)));
        return abi.encodePacked(r, s, v);
    }

    /// @dev A node with a fresh key; it can be drawn from the epoch after the counting one.
    function _register(address operator_, uint8 seats) internal returns (NodeId) {
        return _register(pool, operator_, seats);
    }

    function _register(PoolId pool_, address operator_, uint8 seats) internal returns (NodeId node) {
        uint256 secret = _secret();
        bytes memory consent = _consent(secret, operator_, block.timestamp);
        vm.prank(operator_);
        node = registry.register(
            pool_, seats, vm.addr(secret), block.timestamp, consent, "http://node.example", bytes32(0)
        );
        secretOf[node] = secret;
        keyOf[node] = vm.addr(secret);
    }

    /// @dev Nodes 1 … count of `operator`, one seat each unless said, and the epoch in which they can be drawn.
    function _registerMany(uint256 count, uint8 seats) internal {
        for (uint256 i; i < count; ++i) {
            _register(operator, seats);
        }
        _rollTo(_counting() + 1);
    }

    // --- batches --------------------------------------------------------------------------------------------------

    function _leaf(uint256 job, uint256 shard, bytes32 root) internal pure returns (bytes memory) {
        return abi.encodePacked(uint64(job), uint32(shard), root);
    }

    function _manifest(NodeId node, uint256 epoch) internal pure returns (bytes32) {
        return keccak256(abi.encode("manifest", node, epoch));
    }

    function _salt(NodeId node, uint256 epoch) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", node, epoch));
    }

    function _digest(NodeId node, uint256 epoch, bytes memory leaves) internal view returns (bytes27) {
        return _digest(node, epoch, leaves, _manifest(node, epoch), _salt(node, epoch));
    }

    /// @dev The digest as the protocol page writes it.
    function _digest(NodeId node, uint256 epoch, bytes memory leaves, bytes32 manifest, bytes32 salt)
        internal
        view
        returns (bytes27)
    {
        return bytes27(
            keccak256(
                abi.encode(
                    keccak256("Quorate batch v1"),
                    block.chainid,
                    address(ledger),
                    uint256(NodeId.unwrap(node)),
                    epoch,
                    keccak256(leaves),
                    manifest,
                    salt
                )
            )
        );
    }

    /// @dev Seals `leaves` for the running epoch.
    function _commit(NodeId node, bytes memory leaves) internal {
        uint256 epoch = _epoch();
        batchOf[node][epoch] = leaves;
        vm.prank(keyOf[node]);
        ledger.commit(uint32(epoch), _digest(node, epoch, leaves));
    }

    /// @dev Opens what `_commit` sealed for `epoch`.
    function _reveal(NodeId node, uint256 epoch) internal {
        vm.prank(keyOf[node]);
        ledger.reveal(node, uint32(epoch), batchOf[node][epoch], _manifest(node, epoch), _salt(node, epoch));
    }

    function _lane(NodeId node, uint256 epoch) internal view returns (uint256) {
        return ledger.lanes(abi.encodePacked(NodeId.unwrap(node), uint32(epoch)))[0];
    }

    // --- draws ----------------------------------------------------------------------------------------------------

    /// @dev A committee of 15 slots, zeros void, asked of the registry.
    function _draw(bytes32 seed, uint256 job, uint256 shard, uint256 epoch, PoolId pool_, uint256 size)
        internal
        view
        returns (uint256[] memory)
    {
        return _draw(seed, job, shard, epoch, pool_, size, false);
    }

    /// @dev `isCase`: without those whom the Court excludes.
    function _draw(bytes32 seed, uint256 job, uint256 shard, uint256 epoch, PoolId pool_, uint256 size, bool isCase)
        internal
        view
        returns (uint256[] memory members)
    {
        uint256[] memory draws = new uint256[](2);
        draws[0] = uint256(seed);
        draws[1] = job << 192 | shard << 160 | epoch << 128 | uint256(PoolId.unwrap(pool_)) << 112 | size << 104
            | (isCase ? 1 : 0);
        uint256[] memory slots = registry.committees(draws);
        members = new uint256[](15);
        for (uint256 i; i < 15; ++i) {
            members[i] = i < 8 ? (slots[0] >> (224 - 32 * i)) & OPEN : (slots[1] >> (224 - 32 * (i - 8))) & OPEN;
        }
    }

    /// @dev What the registry holds of others, from its public views.
    function _liabilities() internal view returns (uint256 total) {
        uint32 count = registry.nodeCount();
        for (uint32 i = 1; i <= count; ++i) {
            INodeRegistry.NodeView memory v = registry.nodeView(NodeId.wrap(i));
            total += uint256(v.stake) + v.unbonding;
        }
    }
}
