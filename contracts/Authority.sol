// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title Authority
/// @notice Who may create pools, set fees and pause. No role it knows can touch stake, escrow or results.
contract Authority is AccessManager {
    constructor(address admin) AccessManager(admin) {}
}
