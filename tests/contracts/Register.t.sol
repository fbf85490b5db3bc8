// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId, PoolId} from "../../contracts/interfaces/Types.sol";
import {
    BlacklistToken,
    BonusToken,
    FalseToken,
    FeeToken,
    HookToken,
    IdleToken,
    MockToken,
    SilentToken
} from "../../contracts/mocks/HostileTokens.sol";
import {Base} from "./support/Base.sol";
import {IDeployedRegistry} from "./support/Deployments.sol";

// register
// ├── registry not wired: NotWired
// ├── consent
// │   ├── late: ConsentExpired(deadline, now); in its last second: allowed
// │   ├── by another, for another operator, deadline, key, chain or registry, or junk: BadKeyConsent(key, signer)
// │   ├── key is the operator: KeyIsOperator(key)
// │   └── key acts for a node: KeyInUse(key, node)
// ├── pool unknown: UnknownPool(pool); closed: PoolClosed(pool)
// ├── no seats or more than the pool allows: BadSeatCount(most, seats)
// ├── stake token: too little allowed or held; moves less, more or nothing: WrongTransfer; false: SafeERC20's error;
// │   calls back: WrongTransfer; returns nothing: works; refuses an account: only that one waits
// └── else: a node with seats from the counted epoch on, its stake pulled, its key bound
contract RegisterTest is Base {
    event NodeRegistered(NodeId indexed node, address indexed operator, PoolId indexed pool, address key);
    event NodeAnnounced(NodeId indexed node, string endpoint, bytes32 metadata);
    event SeatTaken(PoolId indexed pool, NodeId indexed node, uint32 seat, uint32 since, uint32 heldSince);
    event StakeAdded(NodeId indexed node, uint96 amount);

    uint256 internal constant SECRET = 0xC0FFEE;
    address internal key = vm.addr(SECRET);

    function _try(uint8 seats, uint256 deadline, bytes memory consent) private returns (NodeId) {
        return _try(pool, seats, key, deadline, consent);
    }

    function _try(PoolId pool_, uint8 seats, address key_, uint256 deadline, bytes memory consent)
        private
        returns (NodeId)
    {
        vm.prank(operator);
        return registry.register(pool_, seats, key_, deadline, consent, "http://a.example", "meta");
    }

    function _good() private view returns (bytes memory) {
        return _consent(SECRET, operator, block.timestamp);
    }

    function _fresh() private returns (IDeployedRegistry) {
        return _newRegistry(address(authority), address(stakeToken), 10, 128, 4);
    }

    // --- register -------------------------------------------------------------------------------------------------

    function test_register__consented__makesANode() public {
        uint256 before = stakeToken.balanceOf(operator);
        vm.expectEmit(address(registry));
        emit NodeRegistered(_node(1), operator, pool, key);
        vm.expectEmit(address(registry));
        emit NodeAnnounced(_node(1), "http://a.example", "meta");
        vm.expectEmit(address(registry));
        emit SeatTaken(pool, _node(1), 0, START + 1, START + 1);
        vm.expectEmit(address(registry));
        emit SeatTaken(pool, _node(1), 1, START + 1, START + 1);
        vm.expectEmit(address(registry));
        emit StakeAdded(_node(1), 2 * shape.seatStake);
        NodeId node = _try(2, block.timestamp, _good());
        assertEq(node, _node(1), "first id");
        INodeRegistry.NodeView memory v = registry.nodeView(node);
        assertEq(v.operator, operator, "operator");
        assertEq(v.key, key, "key");
        assertEq(v.stake, 2 * uint256(shape.seatStake), "stake");
        assertEq(v.unbonding, 0, "unbonding");
        assertEq(v.seats.length, 2, "seats");
        assertFalse(v.paused, "paused");
        assertEq(before - stakeToken.balanceOf(operator), v.stake, "pulled");
        assertEq(registry.poolView(pool).nodes, 1, "distinct nodes");
        assertEq(registry.poolView(pool).length, 2, "length");
        assertEq(ledger.nodeOf(key), node, "bound");
        assertEq(registry.operatorOf(node), operator, "operatorOf");
        assertEq(registry.nodeCount(), 1, "count");
    }

    function test_register__notWired__reverts() public {
        registry = _fresh();
        bytes memory consent = _good();
        vm.expectRevert(INodeRegistry.NotWired.selector);
        _try(1, block.timestamp, consent);
    }

    function test_register__consentLate__reverts() public {
        uint256 deadline = block.timestamp - 1;
        bytes memory consent = _consent(SECRET, operator, deadline);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ConsentExpired.selector, deadline, block.timestamp));
        _try(1, deadline, consent);
    }

    function test_register__lastSecondOfConsent__isAllowed() public {
        bytes memory consent = _consent(SECRET, operator, block.timestamp);
        assertEq(_try(1, block.timestamp, consent), _node(1), "node");
    }

    function _expectBadConsent(address key_, uint256 deadline, bytes memory consent) private {
        // The signer that the contract recovers depends on what it believes was signed: only the type is known here.
        vm.prank(operator);
        (bool ok, bytes memory answer) = address(registry)
            .call(abi.encodeCall(registry.register, (pool, 1, key_, deadline, consent, "", bytes32(0))));
        assertFalse(ok, "accepted");
        assertTrue(bytes4(answer) == INodeRegistry.BadKeyConsent.selector, "another error");
        (address expected, address actual) = abi.decode(_behindSelector(answer), (address, address));
        assertEq(expected, key_, "expected");
        assertTrue(actual != key_ || key_ == address(0), "actual");
    }

    function _behindSelector(bytes memory answer) private pure returns (bytes memory fields) {
        fields = new bytes(answer.length - 4);
        for (uint256 i; i < fields.length; ++i) {
            fields[i] = answer[i + 4];
        }
    }

    function test_register__signedByAnother__reverts() public {
        uint256 t = block.timestamp;
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadKeyConsent.selector, key, vm.addr(0xBAD)));
        vm.prank(operator);
        registry.register(pool, 1, key, t, _consentOf(0xBAD, t), "", bytes32(0));
    }

    function _consentOf(uint256 secret, uint256 deadline) private view returns (bytes memory) {
        return _consent(secret, operator, key, deadline);
    }

    function test_register__consentToSomethingElse__reverts() public {
        uint256 t = block.timestamp;
        _expectBadConsent(key, t, _consent(SECRET, rival, t));
        _expectBadConsent(key, t, _consent(SECRET, operator, t + 1));
        _expectBadConsent(key, t, _consent(SECRET, operator, rival, t));
        _expectBadConsent(address(0), t, _consentOf(SECRET, t));
        _expectBadConsent(key, t, "");
        _expectBadConsent(key, t, new bytes(65));
        _expectBadConsent(address(0), t, new bytes(65));
        vm.chainId(5);
        bytes memory foreign = _good();
        vm.chainId(31_337);
        _expectBadConsent(key, t, foreign);
        IDeployedRegistry here = registry;
        registry = IDeployedRegistry(address(0xBEEF));
        bytes memory elsewhere = _good();
        registry = here;
        _expectBadConsent(key, t, elsewhere);
    }

    function test_register__keyIsOperator__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.KeyIsOperator.selector, operator));
        _try(pool, 1, operator, block.timestamp, "");
    }

    function test_register__keyInUse__reverts() public {
        _try(1, block.timestamp, _good());
        bytes memory consent = _good();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.KeyInUse.selector, key, _node(1)));
        _try(1, block.timestamp, consent);
    }

    function test_register__unknownPool__reverts() public {
        bytes memory consent = _good();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownPool.selector, _pool(9)));
        _try(_pool(9), 1, key, block.timestamp, consent);
    }

    function test_register__closedPool__reverts() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        terms.open = false;
        vm.prank(owner);
        registry.tunePool(pool, terms);
        bytes memory consent = _good();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.PoolClosed.selector, pool));
        _try(1, block.timestamp, consent);
    }

    function test_register__seatsOutOfRange__reverts() public {
        bytes memory consent = _good();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadSeatCount.selector, 4, 0));
        _try(0, block.timestamp, consent);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadSeatCount.selector, 4, 5));
        _try(5, block.timestamp, consent);
        assertEq(_try(4, block.timestamp, consent), _node(1), "most");
    }

    function test_register__failed__leavesNoTrace() public {
        bytes memory consent = _good();
        vm.expectRevert();
        _try(5, block.timestamp, consent);
        assertEq(registry.nodeCount(), 0, "count");
        assertEq(ledger.nodeOf(key), _node(0), "key");
        assertEq(registry.poolView(pool).length, 0, "length");
    }

    function test_register__tooLittleAllowed__reverts() public {
        vm.prank(operator);
        stakeToken.approve(address(registry), shape.seatStake - 1);
        bytes memory consent = _good();
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientAllowance.selector,
                address(registry),
                shape.seatStake - 1,
                shape.seatStake
            )
        );
        _try(1, block.timestamp, consent);
    }

    // --- hostile stake tokens -------------------------------------------------------------------------------------

    /// @dev The same registry over another stake token.
    function _over(MockToken token) private {
        registry = _newRegistry(address(authority), address(token), 10, 128, 4);
        ledger = _newLedger(registry, 8, 1_000);
        vm.startPrank(owner);
        registry.wire(address(ledger), _actor("market"), address(0));
        registry.createPool(pool, _terms());
        vm.stopPrank();
        token.mint(operator, 1e30);
        vm.prank(operator);
        token.approve(address(registry), type(uint256).max);
    }

    function _expectWrong(uint256 actual) private {
        bytes memory consent = _good();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.WrongTransfer.selector, uint256(shape.seatStake), actual));
        _try(1, block.timestamp, consent);
    }

    function test_register__tokenTakesAFee__reverts() public {
        _over(new FeeToken(100));
        _expectWrong(uint256(shape.seatStake) * 99 / 100);
    }

    function test_register__tokenGivesMore__reverts() public {
        _over(new BonusToken());
        _expectWrong(uint256(shape.seatStake) + 1);
    }

    function test_register__tokenMovesNothing__reverts() public {
        _over(new IdleToken());
        _expectWrong(0);
    }

    function test_register__tokenAnswersFalse__reverts() public {
        FalseToken token = new FalseToken();
        _over(token);
        token.refuse(true);
        bytes memory consent = _good();
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        _try(1, block.timestamp, consent);
    }

    function test_register__tokenReturnsNothing__works() public {
        SilentToken token = new SilentToken();
        _over(token);
        NodeId node = _try(1, block.timestamp, _good());
        assertEq(token.balanceOf(address(registry)), shape.seatStake, "pulled");
        vm.prank(operator);
        registry.leaveSeats(node, 1);
        _rollTo(_epoch() + registry.UNBONDING());
        registry.withdrawStake(node);
        assertEq(token.balanceOf(operator), 1e30, "all back");
    }

    /// @dev The hook, an operator itself, stakes once more inside the transfer: its money would be counted twice.
    function test_addStake__tokenCallsBack__cannotBeCountedTwice() public {
        HookToken token = new HookToken();
        _over(token);
        NodeId node = _try(1, block.timestamp, _good());
        token.mint(address(token), 1e30);
        token.allow(address(registry));
        bytes memory consent = _consent(5, address(token), block.timestamp);
        vm.prank(address(token));
        NodeId second = registry.register(pool, 1, vm.addr(5), block.timestamp, consent, "", bytes32(0));
        token.arm(address(registry), abi.encodeCall(registry.addStake, (second, 50)));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.WrongTransfer.selector, 100, 150));
        vm.prank(operator);
        registry.addStake(node, 100);
        assertEq(token.balanceOf(address(registry)), _liabilities(), "solvent");
    }

    function test_withdrawStake__tokenCallsBack__paysOnce() public {
        HookToken token = new HookToken();
        _over(token);
        NodeId node = _try(1, block.timestamp, _good());
        vm.prank(operator);
        registry.leaveSeats(node, 1);
        _rollTo(_epoch() + registry.UNBONDING());
        token.arm(address(registry), abi.encodeCall(registry.withdrawStake, (node)));
        registry.withdrawStake(node);
        assertEq(token.calls(), 1, "called back");
        assertFalse(token.succeeded(), "second withdrawal");
        assertTrue(bytes4(token.answer()) == INodeRegistry.NothingToWithdraw.selector, "its reason");
        assertEq(token.balanceOf(operator), 1e30, "paid once");
    }

    function test_withdrawStake__operatorRefused__onlyItWaits() public {
        BlacklistToken token = new BlacklistToken();
        _over(token);
        token.mint(rival, 1e30);
        vm.prank(rival);
        token.approve(address(registry), type(uint256).max);
        NodeId refused = _try(1, block.timestamp, _good());
        NodeId other = _register(rival, 1);
        vm.prank(operator);
        registry.leaveSeats(refused, 1);
        vm.prank(rival);
        registry.leaveSeats(other, 1);
        token.block_(operator, true);
        vm.prank(_actor("market"));
        assertEq(registry.slash(refused, 1_000, operator, 0), 100 ether, "its stake is slashed all the same");
        _rollTo(_epoch() + registry.UNBONDING());
        vm.expectRevert(abi.encodeWithSelector(BlacklistToken.Blocked.selector, operator));
        registry.withdrawStake(refused);
        vm.expectRevert(abi.encodeWithSelector(BlacklistToken.Blocked.selector, operator));
        registry.collectReward(operator);
        assertEq(registry.withdrawStake(other), 1_000 ether, "another has its own");
        token.block_(operator, false);
        assertEq(registry.withdrawStake(refused), 900 ether, "later");
        assertEq(registry.collectReward(operator), 10 ether, "later too");
        assertEq(token.balanceOf(address(registry)), 0, "nothing stays");
    }
}
