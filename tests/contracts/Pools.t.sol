// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IClock} from "../../contracts/interfaces/IClock.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {PoolId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";
import {IDeployedRegistry} from "./support/Deployments.sol";

// wire
// ├── no role: AccessManagedUnauthorized(caller)
// ├── ledger or market zero: NotWired
// ├── wired before: AlreadyWired
// └── else: those three may slash, for ever
// createPool, tunePool
// ├── no role: AccessManagedUnauthorized(caller)
// ├── id in use: PoolExists(pool); id unknown to tune: UnknownPool(pool)
// ├── a term out of range: BadParameter(name, min, max, actual)
// ├── tune with another seat stake: SeatStakeFixed(expected, actual)
// └── else: the terms
contract PoolsTest is Base {
    event PoolCreated(PoolId indexed pool, INodeRegistry.PoolTerms terms);
    event PoolTuned(PoolId indexed pool, INodeRegistry.PoolTerms terms);
    event Wired(address indexed ledger, address indexed market, address indexed court);

    // --- wire -----------------------------------------------------------------------------------------------------

    function _fresh() private returns (IDeployedRegistry) {
        return _newRegistry(address(authority), address(stakeToken), 10, 128, 4);
    }

    function test_wire__noRole__reverts() public {
        IDeployedRegistry fresh = _fresh();
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger));
        vm.prank(stranger);
        fresh.wire(address(1), address(2), address(3));
    }

    function test_wire__zeroLedgerOrMarket__reverts() public {
        IDeployedRegistry fresh = _fresh();
        vm.startPrank(owner);
        vm.expectRevert(INodeRegistry.NotWired.selector);
        fresh.wire(address(0), address(2), address(3));
        vm.expectRevert(INodeRegistry.NotWired.selector);
        fresh.wire(address(1), address(0), address(3));
        vm.stopPrank();
    }

    function test_wire__once__isSealed() public {
        IDeployedRegistry fresh = _fresh();
        vm.startPrank(owner);
        vm.expectEmit(address(fresh));
        emit Wired(address(1), address(2), address(3));
        fresh.wire(address(1), address(2), address(3));
        vm.expectRevert(INodeRegistry.AlreadyWired.selector);
        fresh.wire(address(4), address(5), address(6));
        vm.stopPrank();
        for (uint160 i; i < 7; ++i) {
            assertEq(fresh.maySlash(address(i)), i > 0 && i < 4, "who may slash");
        }
    }

    function test_wire__noCourt__leavesZeroWithoutPower() public view {
        assertEq(registry.court(), address(0), "no court");
        assertFalse(registry.maySlash(address(0)), "zero may not slash");
    }

    // --- pools ----------------------------------------------------------------------------------------------------

    function test_createPool__noRole__reverts() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        bytes memory reason = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, operator);
        vm.startPrank(operator);
        vm.expectRevert(reason);
        registry.createPool(_pool(2), terms);
        vm.expectRevert(reason);
        registry.tunePool(pool, terms);
        vm.stopPrank();
    }

    function test_createPool__idInUse__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.PoolExists.selector, pool));
        vm.prank(owner);
        registry.createPool(pool, _terms());
    }

    function _expectBad(INodeRegistry.PoolTerms memory terms, string memory name, uint256 max, uint256 actual) private {
        vm.expectRevert(abi.encodeWithSelector(IClock.BadParameter.selector, name, 1, max, actual));
        vm.prank(owner);
        registry.createPool(_pool(2), terms);
    }

    function test_createPool__termOutOfRange__reverts() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        terms.seatStake = 0;
        _expectBad(terms, "seatStake", type(uint96).max / 8, 0);
        terms.seatStake = type(uint96).max / 8 + 1;
        _expectBad(terms, "seatStake", type(uint96).max / 8, terms.seatStake);
        terms = _terms();
        terms.maxSeatsPerNode = 0;
        _expectBad(terms, "maxSeatsPerNode", 8, 0);
        terms.maxSeatsPerNode = 9;
        _expectBad(terms, "maxSeatsPerNode", 8, 9);
        terms = _terms();
        terms.maxShardPay = 0;
        _expectBad(terms, "maxShardPay", type(uint88).max / 17, 0);
        terms.maxShardPay = uint96(type(uint88).max / 17) + 1;
        _expectBad(terms, "maxShardPay", type(uint88).max / 17, terms.maxShardPay);
    }

    function test_tunePool__unknown__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownPool.selector, _pool(7)));
        vm.prank(owner);
        registry.tunePool(_pool(7), _terms());
    }

    function test_tunePool__anotherSeatStake__reverts() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        ++terms.seatStake;
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.SeatStakeFixed.selector, terms.seatStake - 1, terms.seatStake)
        );
        vm.prank(owner);
        registry.tunePool(pool, terms);
    }

    function test_tunePool__newTerms__areThePools() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        (terms.floor, terms.maxShardPay, terms.maxSeatsPerNode, terms.open) = (9, 10, 2, false);
        vm.expectEmit(address(registry));
        emit PoolTuned(pool, terms);
        vm.prank(owner);
        registry.tunePool(pool, terms);
        assertEq(abi.encode(registry.poolView(pool).terms), abi.encode(terms), "terms");
    }

    function test_poolView__unknown__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownPool.selector, _pool(7)));
        registry.poolView(_pool(7));
    }

    function test_createPool__newTerms__areThePools() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        (terms.seatStake, terms.maxSeatsPerNode, terms.maxShardPay) = (type(uint96).max / 8, 8, type(uint88).max / 17);
        vm.expectEmit(address(registry));
        emit PoolCreated(_pool(2), terms);
        vm.prank(owner);
        registry.createPool(_pool(2), terms);
        INodeRegistry.PoolView memory v = registry.poolView(_pool(2));
        assertEq(abi.encode(v.terms), abi.encode(terms), "terms");
        assertEq(uint256(v.length) + v.nodes, 0, "empty");
    }
}
