// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITokenHooks} from "./HostileTokens.sol";

/// @title An operator that is a contract: a wallet that does what it is told
/// @notice For tests only, never deployed. Anyone may tell it.
contract PlainOperator {
    function execute(address target, bytes calldata data) external returns (bytes memory) {
        (bool ok, bytes memory answer) = target.call(data);
        if (ok) return answer;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}

/// @title An operator that acts when tokens leave or reach it: refuses them, or calls back
/// @dev The call's fate is kept, so that a test can ask for it; it is made once per `arm`.
contract HostileOperator is PlainOperator, ITokenHooks {
    bool public refusing;
    address public target;
    bytes public call_;
    uint256 public calls;
    bool public succeeded;
    bytes public answer;

    error Refused(uint256 amount);

    function refuse(bool refusing_) external {
        refusing = refusing_;
    }

    function arm(address target_, bytes calldata data) external {
        (target, call_) = (target_, data);
    }

    /// @inheritdoc ITokenHooks
    function tokensToSend(address, uint256 amount) external override {
        _act(amount);
    }

    /// @inheritdoc ITokenHooks
    function tokensReceived(address, uint256 amount) external override {
        _act(amount);
    }

    function _act(uint256 amount) private {
        if (refusing) revert Refused(amount);
        address target_ = target;
        if (target_ == address(0)) return;
        target = address(0);
        ++calls;
        (succeeded, answer) = target_.call(call_);
    }
}
