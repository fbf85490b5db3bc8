// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";

/// @title Money that enters
library Transfers {
    /// @notice Pulls exactly `amount` into `to`; tokens that take a fee or rebase are refused.
    function pull(address token, address from, address to, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(to);
        // slither-disable-next-line arbitrary-send-erc20 `from` is the caller, or the operator who let its node's key spend it
        SafeERC20.safeTransferFrom(IERC20(token), from, to, amount);
        uint256 received = IERC20(token).balanceOf(to) - before;
        if (received != amount) revert IJobMarket.WrongTransfer(amount, received);
    }
}
