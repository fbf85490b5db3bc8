// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title TestStablecoin
/// @notice Payment token of development networks: six decimals, a fixed supply, no value.
contract TestStablecoin is ERC20, ERC20Permit {
    constructor(address holder, uint256 supply) ERC20("Test Stablecoin", "TUSD") ERC20Permit("Test Stablecoin") {
        _mint(holder, supply);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
