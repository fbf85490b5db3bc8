// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Block headers as the chain hashes them
library HeaderBytes {
    /// @dev The history contract of EIP-2935 and its code.
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    bytes internal constant HISTORY_CODE =
        hex"3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500";

    /// @notice RLP of a header of today's 21 fields; what the protocol does not read is made up.
    function encode(uint256 number, bytes32 prevRandao) internal pure returns (bytes memory) {
        return encode(number, prevRandao, 36_000_000, 1_700_000_000 + number * 12, "");
    }

    function encode(uint256 number, bytes32 prevRandao, uint256 gasUsed, uint256 time, bytes memory extra)
        internal
        pure
        returns (bytes memory)
    {
        bytes memory head = abi.encodePacked(
            word(keccak256(abi.encode("parent", number))),
            word(0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347),
            hex"94",
            address(0xFEE),
            word(keccak256("state")),
            word(keccak256("transactions")),
            word(keccak256("receipts")),
            hex"b90100",
            new bytes(256),
            hex"80"
        );
        bytes memory middle = abi.encodePacked(
            integer(number), integer(60_000_000), integer(gasUsed), integer(time), bytesOf(extra), word(prevRandao)
        );
        bytes memory tail = abi.encodePacked(
            hex"880000000000000000",
            integer(7),
            word(keccak256("withdrawals")),
            hex"80",
            hex"80",
            word(keccak256("beacon")),
            word(keccak256("requests"))
        );
        return list(abi.encodePacked(head, middle, tail));
    }

    function word(bytes32 value) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"a0", value);
    }

    /// @dev A string of at most 55 bytes; one byte under 0x80 is itself.
    function bytesOf(bytes memory data) internal pure returns (bytes memory) {
        if (data.length == 1 && uint8(data[0]) < 0x80) return data;
        return abi.encodePacked(uint8(0x80 + data.length), data);
    }

    /// @dev RLP integers have no leading zeros; zero is the empty string.
    function integer(uint256 value) internal pure returns (bytes memory) {
        if (value == 0) return hex"80";
        if (value < 0x80) return abi.encodePacked(uint8(value));
        bytes memory digits = minimal(value);
        return abi.encodePacked(uint8(0x80 + digits.length), digits);
    }

    /// @dev A list of more than 55 bytes.
    function list(bytes memory body) internal pure returns (bytes memory) {
        bytes memory length = minimal(body.length);
        return abi.encodePacked(uint8(0xf7 + length.length), length, body);
    }

    function minimal(uint256 value) internal pure returns (bytes memory digits) {
        while (value != 0) {
            digits = abi.encodePacked(uint8(value), digits);
            value >>= 8;
        }
    }
}
