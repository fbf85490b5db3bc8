// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JobId, NodeId, PoolId} from "../../../contracts/interfaces/Types.sol";
import {Vm} from "./Vm.sol";

/// @title What a test says about values
abstract contract Assertions {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function assertTrue(bool condition, string memory why) internal pure {
        vm.assertTrue(condition, why);
    }

    function assertFalse(bool condition, string memory why) internal pure {
        vm.assertFalse(condition, why);
    }

    function assertEq(bool left, bool right, string memory why) internal pure {
        vm.assertEq(left, right, why);
    }

    function assertEq(uint256 left, uint256 right, string memory why) internal pure {
        vm.assertEq(left, right, why);
    }

    function assertEq(address left, address right, string memory why) internal pure {
        vm.assertEq(left, right, why);
    }

    function assertEq(bytes32 left, bytes32 right, string memory why) internal pure {
        vm.assertEq(left, right, why);
    }

    function assertEq(string memory left, string memory right, string memory why) internal pure {
        vm.assertEq(left, right, why);
    }

    function assertEq(bytes memory left, bytes memory right, string memory why) internal pure {
        vm.assertEq(left, right, why);
    }

    function assertEq(uint256[] memory left, uint256[] memory right, string memory why) internal pure {
        vm.assertEq(left, right, why);
    }

    function assertEq(bytes32[] memory left, bytes32[] memory right, string memory why) internal pure {
        vm.assertEq(left, right, why);
    }

    function assertEq(NodeId left, NodeId right, string memory why) internal pure {
        vm.assertEq(uint256(NodeId.unwrap(left)), NodeId.unwrap(right), why);
    }

    function assertNotEq(uint256 left, uint256 right, string memory why) internal pure {
        vm.assertNotEq(left, right, why);
    }

    function assertNotEq(bytes32 left, bytes32 right, string memory why) internal pure {
        vm.assertNotEq(left, right, why);
    }

    function assertLe(uint256 left, uint256 right, string memory why) internal pure {
        vm.assertLe(left, right, why);
    }

    function assertLt(uint256 left, uint256 right, string memory why) internal pure {
        vm.assertLt(left, right, why);
    }

    function assertGe(uint256 left, uint256 right, string memory why) internal pure {
        vm.assertGe(left, right, why);
    }

    function assertGt(uint256 left, uint256 right, string memory why) internal pure {
        vm.assertGt(left, right, why);
    }

    /// @dev Brings a fuzzed value into `min … max`, both included, evenly.
    function bound(uint256 value, uint256 min, uint256 max) internal pure returns (uint256) {
        if (value >= min && value <= max) return value;
        uint256 size = max - min + 1;
        return size == 0 ? value : min + value % size;
    }

    function _job(uint256 id) internal pure returns (JobId) {
        return JobId.wrap(uint64(id));
    }

    function _node(uint256 id) internal pure returns (NodeId) {
        return NodeId.wrap(uint32(id));
    }

    function _pool(uint256 id) internal pure returns (PoolId) {
        return PoolId.wrap(uint16(id));
    }

    function _id(NodeId node) internal pure returns (uint256) {
        return NodeId.unwrap(node);
    }

    function _id(JobId job) internal pure returns (uint256) {
        return JobId.unwrap(job);
    }
}
