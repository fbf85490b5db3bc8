// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the ledger and the Court ask of a registry
/// @dev Stands where the real one would: the proofs are about what ledger and Court do with any answer of it.
contract RegistryStub {
    uint32 public constant EPOCH_BLOCKS = 10;
    uint32 public constant RING = 128;
    uint32 public constant LEAD = 4;

    address public market;
    address public court;
    uint256 public slashes;
    uint256[2] private _committee;

    function wire(address market_, address court_) external {
        (market, court) = (market_, court_);
    }

    function seat(uint256 low, uint256 high) external {
        _committee = [low, high];
    }

    function slash(uint32, uint16, address, uint32) external returns (uint96) {
        ++slashes;
        return 0;
    }

    function operatorOf(uint32) external pure returns (address) {
        return address(0xC01D);
    }

    function committees(uint256[] calldata) external view returns (uint256[] memory slots) {
        slots = new uint256[](2);
        (slots[0], slots[1]) = (_committee[0], _committee[1]);
    }
}
