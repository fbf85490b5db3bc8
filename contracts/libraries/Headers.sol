// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";

/// @title Proven fields of a block header
/// @dev OpenZeppelin's `BlockHeader` decodes every field and costs 20,000 gas more than the two that are needed
/// (docs/decisions); a fuzz test compares both. The hash is checked against the chain's own, so that the bytes are a
/// header the chain accepted: they are walked, not validated.
library Headers {
    /// @dev Difficulty, the eighth field, follows the list's prefix and seven fields of fixed size: four hashes of 33
    /// bytes, an address of 21, a hash of 33 … in all 445.
    uint256 private constant DIFFICULTY = 448;
    uint256 private constant SHORTEST = 500;

    /// @notice Number and prevRandao of a header, if the chain knows it by its hash.
    /// @return known false for a header that is not of this chain, malformed, or beyond EIP-2935's reach
    function proven(bytes calldata header) internal view returns (bool known, uint256 number, bytes32 prevRandao) {
        if (header.length < SHORTEST) return (false, 0, 0);
        uint256 offset = _skip(header, DIFFICULTY);
        uint256 prefix = uint8(header[offset]);
        if (prefix < 0x81) number = prefix & 0x7f;
        else number = uint256(bytes32(header[offset + 1:offset + 33])) >> (8 * (32 - ((prefix - 0x80) & 31)));
        for (uint256 i; i < 5; ++i) {
            offset = _skip(header, offset); // number, gas limit, gas used, timestamp, extra data
            if (offset + 33 > header.length) return (false, 0, 0);
        }
        prevRandao = bytes32(header[offset + 1:offset + 33]);
        bytes32 hash = Blockhash.blockHash(number);
        known = hash != 0 && hash == keccak256(header);
    }

    /// @dev Offset behind the short string at `offset`: none of these fields is longer than 55 bytes.
    function _skip(bytes calldata header, uint256 offset) private pure returns (uint256) {
        uint256 prefix = uint8(header[offset]);
        return offset + 1 + (prefix < 0x80 ? 0 : (prefix - 0x80) & 0x3f);
    }
}
