// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Tokens that do what tokens should not
/// @notice For tests only, never deployed. Anyone may mint.
contract MockToken {
    uint8 public immutable decimals;
    uint256 public totalSupply;
    mapping(address account => uint256) public balanceOf;
    mapping(address account => mapping(address spender => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);

    error Short(uint256 needed, uint256 actual);

    constructor(uint8 decimals_) {
        decimals = decimals_;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        totalSupply += amount;
    }

    function burn(uint256 amount) external virtual {
        _take(msg.sender, amount);
        totalSupply -= amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external virtual returns (bool) {
        _spend(from, amount);
        _move(from, to, amount);
        return true;
    }

    function _spend(address from, uint256 amount) internal {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < amount) revert Short(amount, allowed);
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - amount;
    }

    function _move(address from, address to, uint256 amount) internal virtual {
        _take(from, amount);
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }

    function _take(address from, uint256 amount) internal {
        if (balanceOf[from] < amount) revert Short(amount, balanceOf[from]);
        balanceOf[from] -= amount;
    }
}

/// @title Keeps a share of every transfer
contract FeeToken is MockToken {
    uint256 public immutable feeBps;

    constructor(uint256 feeBps_) MockToken(18) {
        feeBps = feeBps_;
    }

    function _move(address from, address to, uint256 amount) internal override {
        uint256 fee = amount * feeBps / 10_000;
        super._move(from, to, amount - fee);
        super._move(from, address(this), fee);
    }
}

/// @title Gives more than was sent
contract BonusToken is MockToken {
    constructor() MockToken(18) {}

    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        ++balanceOf[to];
    }
}

/// @title Answers false instead of reverting, and moves nothing
contract FalseToken is MockToken {
    bool public refusing;

    constructor() MockToken(18) {}

    function refuse(bool refusing_) external {
        refusing = refusing_;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        if (refusing) return false;
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        if (refusing) return false;
        _spend(from, amount);
        _move(from, to, amount);
        return true;
    }
}

/// @title Answers true and moves nothing
contract IdleToken is MockToken {
    constructor() MockToken(18) {}

    function _move(address, address, uint256) internal override {}
}

/// @title Returns nothing where a bool is expected
contract SilentToken is MockToken {
    constructor() MockToken(6) {}

    function transfer(address to, uint256 amount) external override returns (bool) {
        _move(msg.sender, to, amount);
        assembly {
            return(0, 0)
        }
    }

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        _spend(from, amount);
        _move(from, to, amount);
        assembly {
            return(0, 0)
        }
    }
}

/// @title Calls back in the middle of a transfer, after the money moved
/// @dev The call's fate is kept, so that a test can ask for it; it is made once per `arm`.
contract HookToken is MockToken {
    address public target;
    bytes public call_;
    uint256 public calls;
    bool public succeeded;
    bytes public answer;

    constructor() MockToken(18) {}

    function arm(address target_, bytes calldata data) external {
        (target, call_) = (target_, data);
    }

    /// @dev Approves as the hook itself, so that a reentrant pull finds an allowance.
    function allow(address spender) external {
        allowance[address(this)][spender] = type(uint256).max;
    }

    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        address target_ = target;
        if (target_ == address(0)) return;
        target = address(0);
        ++calls;
        (succeeded, answer) = target_.call(call_);
    }
}

/// @title What an account may want to be told of its money, as in ERC-777
interface ITokenHooks {
    function tokensToSend(address to, uint256 amount) external;
    function tokensReceived(address from, uint256 amount) external;
}

/// @title Tells whoever asked for it, the sender before the money moves and the receiver afterwards
contract Erc777Token is MockToken {
    mapping(address account => bool) public hooked;

    constructor() MockToken(18) {}

    function hook(bool hooked_) external {
        hooked[msg.sender] = hooked_;
    }

    function _move(address from, address to, uint256 amount) internal override {
        if (hooked[from]) ITokenHooks(from).tokensToSend(to, amount);
        super._move(from, to, amount);
        if (hooked[to]) ITokenHooks(to).tokensReceived(from, amount);
    }
}

/// @title Refuses some accounts
contract BlacklistToken is MockToken {
    mapping(address account => bool) public blocked;

    error Blocked(address account);

    constructor() MockToken(6) {}

    function block_(address account, bool blocked_) external {
        blocked[account] = blocked_;
    }

    function _move(address from, address to, uint256 amount) internal override {
        if (blocked[from]) revert Blocked(from);
        if (blocked[to]) revert Blocked(to);
        super._move(from, to, amount);
    }
}

/// @title Refuses to move or burn nothing
contract ZeroRevertToken is MockToken {
    error ZeroAmount();

    constructor() MockToken(18) {}

    function burn(uint256 amount) external override {
        if (amount == 0) revert ZeroAmount();
        _take(msg.sender, amount);
        totalSupply -= amount;
    }

    function _move(address from, address to, uint256 amount) internal override {
        if (amount == 0) revert ZeroAmount();
        super._move(from, to, amount);
    }
}
