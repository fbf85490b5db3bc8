// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title QuorateToken
/// @notice The stake token. At most `CAP` is ever minted: what a slash burns is not minted again.
contract QuorateToken is ERC20, ERC20Burnable, ERC20Permit, AccessManaged {
    /// @notice Most that is ever minted, in base units.
    uint256 public immutable CAP;
    /// @notice Minted so far; burning does not lower it.
    uint256 public minted;

    error CapExceeded(uint256 cap, uint256 actual);

    constructor(address authority, address holder, uint256 supply, uint256 cap)
        ERC20("Quorate", "QRT")
        ERC20Permit("Quorate")
        AccessManaged(authority)
    {
        CAP = cap;
        _mintCapped(holder, supply);
    }

    /// @notice Mints within the cap; for the minter role of the authority.
    function mint(address to, uint256 amount) external restricted {
        _mintCapped(to, amount);
    }

    function _mintCapped(address to, uint256 amount) private {
        minted += amount;
        if (minted > CAP) revert CapExceeded(CAP, minted);
        _mint(to, amount);
    }
}
