// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The two cheatcodes that a proof needs
interface Assumptions {
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function roll(uint256 number) external;
    function prank(address sender) external;
    function store(address account, bytes32 slot, bytes32 value) external;
}

/// @title What every proof stands on
/// @dev Halmos runs a function named `check_…` with symbolic arguments and asks a solver for arguments that make an
/// `assert` fail; none may exist. Any panic counts as a failure, so that arithmetic which would overflow does too. A
/// function named `refute_…` states something false on purpose: it must be refuted, or the tool could not have failed.
abstract contract Proof {
    Assumptions internal constant vm = Assumptions(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev `&&` without a branch: the solver gets one question instead of two paths.
    function both(bool left, bool right) internal pure returns (bool result) {
        assembly ("memory-safe") {
            result := and(left, right)
        }
    }

    /// @dev `||` without a branch.
    function either(bool left, bool right) internal pure returns (bool result) {
        assembly ("memory-safe") {
            result := or(left, right)
        }
    }
}
