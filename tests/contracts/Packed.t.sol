// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Packed} from "../../contracts/libraries/Packed.sol";
import {Assertions} from "./support/Assertions.sol";

// load
// ├── the word lies inside the data: equals the compiler's own slice
// └── it ends behind the data: the bytes inside are the data's, so that a caller who checked a shorter end reads right
contract PackedTest is Assertions {
    function load(bytes calldata data, uint256 offset) public pure returns (uint256) {
        return Packed.load(data, offset);
    }

    /// @dev The plain twin.
    function slice(bytes calldata data, uint256 offset, uint256 size) public pure returns (uint256) {
        return uint256(bytes32(data[offset:offset + size])) >> (256 - 8 * size);
    }

    function testFuzz_load__wordInside__equalsPlainSlice(bytes memory data, uint256 offset) public view {
        data = abi.encodePacked(data, bytes32("behind"));
        offset = bound(offset, 0, data.length - 32);
        assertEq(this.load(data, offset), this.slice(data, offset, 32), "word");
    }

    function testFuzz_load__fieldInside__equalsPlainSlice(bytes memory data, uint256 offset, uint256 size) public view {
        data = abi.encodePacked(data, bytes1(0x99));
        size = bound(size, 1, data.length < 32 ? data.length : 32);
        offset = bound(offset, 0, data.length - size);
        uint256 field = this.load(data, offset) >> (256 - 8 * size);
        assertEq(field, this.slice(data, offset, size), "whatever stands behind it");
    }
}
