// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "../../contracts/interfaces/Types.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {Trees} from "../../contracts/libraries/Trees.sol";
import {CommitLedger} from "../../contracts/CommitLedger.sol";
import {Proof} from "./Proof.sol";
import {RegistryStub} from "./Stubs.sol";

/// @title What a commitment binds, and what a lane holds
/// @dev A digest is the left 27 bytes of a hash. Halmos knows that whole hashes do not collide; that their left 27 bytes
/// do not either is assumed where it is needed, and nowhere else.
contract LedgerProof is Proof {
    uint32 private constant EPOCH = 300;
    uint32 private constant GRACE = 8;
    uint256 private constant ROOT = type(uint216).max;

    RegistryStub private _registry;
    CommitLedger private _ledger;
    CommitLedger private _other;

    /// @dev Two leaves, or one, as `reveal` is shown them.
    struct Batch {
        uint96 key;
        bytes32 root;
        bytes32 manifest;
        bytes32 salt;
    }

    function setUp() public {
        _registry = new RegistryStub();
        _ledger = new CommitLedger(INodeRegistry(address(_registry)), GRACE, 1_000);
        _other = new CommitLedger(INodeRegistry(address(_registry)), GRACE, 1_000);
        _registry.wire(address(this), address(this));
        vm.prank(address(_registry));
        _ledger.bind(address(this), NodeId.wrap(1));
    }

    // --- what the digest binds ------------------------------------------------------------------------------------

    function _leaf(Batch memory b) private pure returns (bytes memory) {
        return abi.encodePacked(b.key, b.root);
    }

    function _hash(CommitLedger ledger, uint32 node, uint32 epoch, Batch memory b) private view returns (bytes32) {
        bytes32 leaves = keccak256(_leaf(b));
        return keccak256(
            abi.encode(
                keccak256("Quorate batch v1"), block.chainid, address(ledger), node, epoch, leaves, b.manifest, b.salt
            )
        );
    }

    function _digest(CommitLedger ledger, uint32 node, uint32 epoch, Batch memory b) private view returns (bytes27) {
        return ledger.digestOf(NodeId.wrap(node), epoch, _leaf(b), b.manifest, b.salt);
    }

    function check_digestOf__anyBatch__isTheLeftOfTheHashOfAllItBinds(uint32 node, uint32 epoch, Batch memory b)
        public
        view
    {
        assert(_digest(_ledger, node, epoch, b) == bytes27(_hash(_ledger, node, epoch, b)));
    }

    function check_digestOf__equalDigests__areOfOneNodeAndEpoch(
        uint32 node,
        uint32 epoch,
        uint32 otherNode,
        uint32 otherEpoch,
        Batch memory b,
        Batch memory c
    ) public view {
        vm.assume(_digest(_ledger, node, epoch, b) == _digest(_ledger, otherNode, otherEpoch, c));
        vm.assume(_hash(_ledger, node, epoch, b) == _hash(_ledger, otherNode, otherEpoch, c));
        assert(both(node == otherNode, epoch == otherEpoch));
    }

    function check_digestOf__equalDigests__areOfOneBatchManifestAndSalt(
        uint32 node,
        uint32 epoch,
        Batch memory b,
        Batch memory c
    ) public view {
        vm.assume(_digest(_ledger, node, epoch, b) == _digest(_ledger, node, epoch, c));
        vm.assume(_hash(_ledger, node, epoch, b) == _hash(_ledger, node, epoch, c));
        assert(both(b.key == c.key, b.root == c.root));
        assert(both(b.manifest == c.manifest, b.salt == c.salt));
    }

    function check_digestOf__anotherLedger__isAnotherDigest(uint32 node, uint32 epoch, Batch memory b) public view {
        bytes32 here = _hash(_ledger, node, epoch, b);
        bytes32 there = _hash(_other, node, epoch, b);
        vm.assume(either(here == there, bytes27(here) != bytes27(there)));
        assert(_digest(_ledger, node, epoch, b) != _digest(_other, node, epoch, b));
    }

    function check_digestOf__anotherChain__isAnotherDigest(uint32 node, uint32 epoch, Batch memory b, uint32 chain)
        public
    {
        vm.assume(chain != block.chainid && chain != 0);
        bytes32 here = _hash(_ledger, node, epoch, b);
        bytes27 digest = _digest(_ledger, node, epoch, b);
        vm.chainId(chain);
        bytes32 there = _hash(_ledger, node, epoch, b);
        vm.assume(either(here == there, bytes27(here) != bytes27(there)));
        assert(digest != _digest(_ledger, node, epoch, b));
    }

    function refute_digestOf__anotherSalt__isTheSameDigest(uint32 node, Batch memory b, bytes32 salt) public view {
        bytes27 digest = _digest(_ledger, node, EPOCH, b);
        b.salt = salt;
        assert(digest == _digest(_ledger, node, EPOCH, b));
    }

    // --- what a lane holds ----------------------------------------------------------------------------------------

    function _lane(uint32 node) private view returns (uint256) {
        return _ledger.lanes(abi.encodePacked(node, EPOCH))[0];
    }

    function _at(uint256 epoch) private {
        vm.roll(epoch * 10);
    }

    function _commit(Batch memory b) private {
        _at(EPOCH);
        _ledger.commit(EPOCH, _digest(_ledger, 1, EPOCH, b));
    }

    function check_commit__anyDigest__isHeldSealedUnderItsEpoch(bytes27 digest) public {
        _at(EPOCH);
        _ledger.commit(EPOCH, digest);
        uint256 word = _lane(1);
        assert(word >> 224 == EPOCH);
        assert((word >> 216) & 0xff == 0);
        assert(word & ROOT == uint216(digest));
    }

    function check_commit__anyDigest__leavesOtherNodesAlone(bytes27 digest, uint32 node) public {
        vm.assume(node != 1);
        _at(EPOCH);
        _ledger.commit(EPOCH, digest);
        assert(_lane(node) == 0);
    }

    function check_commit__secondDigest__neverReplacesTheFirst(bytes27 digest, bytes27 second, uint32 epoch) public {
        _at(EPOCH);
        _ledger.commit(EPOCH, digest);
        uint256 word = _lane(1);
        (bool done,) = address(_ledger).call(abi.encodeCall(CommitLedger.commit, (epoch, second)));
        assert(!done && _lane(1) == word);
    }

    function check_reveal__committedBatch__keepsEpochDelayAndRoot(Batch memory b, uint8 delay) public {
        vm.assume(delay >= 1 && delay <= GRACE);
        _commit(b);
        _at(uint256(EPOCH) + delay);
        _ledger.reveal(NodeId.wrap(1), EPOCH, _leaf(b), b.manifest, b.salt);
        uint256 word = _lane(1);
        assert(word >> 224 == EPOCH && (word >> 216) & 0xff == delay);
        assert(word & ROOT == uint216(bytes27(Trees.batchLeaf(b.key, b.root))));
    }

    function check_reveal__anythingElse__neverOpensTheLane(Batch memory b, Batch memory shown) public {
        _commit(b);
        _at(EPOCH + 1);
        bytes32 made = _hash(_ledger, 1, EPOCH, b);
        bytes32 tried = _hash(_ledger, 1, EPOCH, shown);
        vm.assume(either(made == tried, bytes27(made) != bytes27(tried)));
        bytes memory call =
            abi.encodeCall(CommitLedger.reveal, (NodeId.wrap(1), EPOCH, _leaf(shown), shown.manifest, shown.salt));
        (bool done,) = address(_ledger).call(call);
        bool same = both(both(b.key == shown.key, b.root == shown.root), b.manifest == shown.manifest);
        assert(done == both(same, b.salt == shown.salt));
    }

    function check_reveal__anyEpoch__opensOnlyWithinTheGrace(Batch memory b, uint16 now_) public {
        _commit(b);
        _at(now_);
        bytes memory call = abi.encodeCall(CommitLedger.reveal, (NodeId.wrap(1), EPOCH, _leaf(b), b.manifest, b.salt));
        (bool done,) = address(_ledger).call(call);
        assert(done == (now_ > EPOCH && now_ <= EPOCH + GRACE));
    }

    function check_reveal__twoLeaves__opensOnlyAscendingOnes(uint96 first, uint96 second, bytes32 root, bytes32 salt)
        public
    {
        bytes memory leaves = abi.encodePacked(first, root, second, root);
        bytes27 digest = _ledger.digestOf(NodeId.wrap(1), EPOCH, leaves, 0, salt);
        _at(EPOCH);
        _ledger.commit(EPOCH, digest);
        _at(EPOCH + 1);
        bytes memory call = abi.encodeCall(CommitLedger.reveal, (NodeId.wrap(1), EPOCH, leaves, 0, salt));
        (bool done,) = address(_ledger).call(call);
        assert(done == (first < second));
    }

    function refute_reveal__twoLeaves__opensEqualOnes(uint96 key, bytes32 root, bytes32 salt) public {
        bytes memory leaves = abi.encodePacked(key, root, key, bytes32(0));
        _at(EPOCH);
        _ledger.commit(EPOCH, _ledger.digestOf(NodeId.wrap(1), EPOCH, leaves, 0, salt));
        _at(EPOCH + 1);
        bytes memory call = abi.encodeCall(CommitLedger.reveal, (NodeId.wrap(1), EPOCH, leaves, 0, salt));
        (bool done,) = address(_ledger).call(call);
        assert(done);
    }

    // --- faults leave the root alone ------------------------------------------------------------------------------

    function check_markWrong__openedLane__keepsEpochDelayAndRoot(Batch memory b) public {
        _commit(b);
        _at(EPOCH + 1);
        _ledger.reveal(NodeId.wrap(1), EPOCH, _leaf(b), b.manifest, b.salt);
        uint256 before = _lane(1);
        _ledger.markWrong(NodeId.wrap(1), EPOCH);
        assert(_lane(1) == before | 0x40 << 216);
        assert((_lane(1) >> 216) & 0x0f == (before >> 216) & 0x0f);
        (bool done,) = address(_ledger).call(abi.encodeCall(CommitLedger.markWrong, (NodeId.wrap(1), EPOCH)));
        assert(!done);
    }

    function check_reportUnrevealed__anyEpoch__onceAndOnlyPastTheGrace(bytes27 digest, uint16 now_) public {
        _at(EPOCH);
        _ledger.commit(EPOCH, digest);
        _at(now_);
        bytes memory call = abi.encodeCall(CommitLedger.reportUnrevealed, (NodeId.wrap(1), EPOCH));
        (bool done,) = address(_ledger).call(call);
        assert(done == (now_ > EPOCH + GRACE));
        assert(_registry.slashes() == (done ? 1 : 0));
        assert(_lane(1) & ROOT == uint216(digest));
        (done,) = address(_ledger).call(call);
        assert(!done);
    }

    function check_markAbsent__committedInTime__isRefused(bytes27 digest) public {
        _at(EPOCH);
        _ledger.commit(EPOCH, digest);
        (bool done,) = address(_ledger).call(abi.encodeCall(CommitLedger.markAbsent, (NodeId.wrap(1), EPOCH)));
        assert(!done && _lane(1) & ROOT == uint216(digest));
    }
}
