// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {NodeId} from "../interfaces/Types.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {Payout} from "../libraries/Payout.sol";
import {Clock} from "../Clock.sol";

/// @title What the market owes: nodes by maturity, everybody else at once
/// @dev A node has one word with two maturing buckets of `MATURITY = RING` epochs and one with what has matured.
/// Every payment is pulled.
abstract contract Earnings is IJobMarket, Clock, AccessManaged, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    INodeRegistry public immutable registry;
    /// @inheritdoc IJobMarket
    address public immutable override paymentToken;

    mapping(NodeId node => uint256) private _maturing;
    /// @dev Balances as in `Payout.deposit`.
    mapping(NodeId node => uint256) private _matured;
    mapping(address account => uint256) private _owed;

    constructor(INodeRegistry registry_, address paymentToken_) {
        registry = registry_;
        paymentToken = paymentToken_;
    }

    /// @inheritdoc IJobMarket
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function withdraw(NodeId node) external nonReentrant returns (uint256 amount) {
        amount = Payout.balance(_matured[node]) + _roll(node, 0);
        if (amount == 0) revert NothingToWithdraw();
        _matured[node] = Payout.deposit(0, 0);
        address operator = registry.operatorOf(node);
        emit EarningsWithdrawn(node, operator, amount);
        IERC20(paymentToken).safeTransfer(operator, amount);
    }

    /// @inheritdoc IJobMarket
    function collect(address account) external nonReentrant returns (uint256 amount) {
        amount = Payout.balance(_owed[account]);
        if (amount == 0) revert NothingToWithdraw();
        _owed[account] = Payout.deposit(0, 0);
        emit Collected(account, amount);
        IERC20(paymentToken).safeTransfer(account, amount);
    }

    /// @inheritdoc IJobMarket
    function earningsOf(NodeId node) external view returns (uint256 matured, uint256 maturing) {
        (uint256 word, uint256 rolled) = Payout.roll(_maturing[node], _bucket());
        return (Payout.balance(_matured[node]) + rolled, Payout.maturing(word));
    }

    /// @inheritdoc IJobMarket
    function owedTo(address account) external view returns (uint256) {
        return Payout.balance(_owed[account]);
    }

    /// @inheritdoc IJobMarket
    function assign(address account, uint256 amount) external {
        uint256 owed = Payout.balance(_owed[msg.sender]);
        if (amount > owed) revert OutOfRange("amount", 0, owed, amount);
        if (amount == 0) return;
        _owed[msg.sender] -= amount;
        _owe(account, amount);
        emit Assigned(msg.sender, account, amount);
    }

    /// @dev Takes all that has not matured: what has is out of reach.
    function _forfeit(NodeId node) internal returns (uint256 amount) {
        _credit(node, _roll(node, 0), 0);
        uint256 word = _maturing[node];
        amount = Payout.maturing(word);
        _maturing[node] = word >> 224 << 224;
    }

    /// @dev Adds `atOnce` to what can be withdrawn and `later` to the current bucket.
    function _credit(NodeId node, uint256 atOnce, uint256 later) internal {
        if (later != 0) atOnce += _roll(node, later);
        if (atOnce != 0) _matured[node] = Payout.deposit(_matured[node], atOnce);
    }

    function _owe(address account, uint256 amount) internal {
        if (amount != 0) _owed[account] = Payout.deposit(_owed[account], amount);
    }

    /// @dev Moves the node's word to the current bucket and adds to it; returns what has matured by that.
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _roll(NodeId node, uint256 later) private returns (uint256 matured) {
        uint256 word = _maturing[node];
        if (word == 0 && later == 0) return 0;
        uint256 rolled;
        (rolled, matured) = Payout.roll(word, _bucket());
        _maturing[node] = Payout.credit(rolled, later);
    }

    function _bucket() private view returns (uint256) {
        return _epoch() / RING;
    }
}
