// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {PoolId} from "../../contracts/interfaces/Types.sol";
import {ILibraries} from "../../contracts/mocks/ILibraries.sol";
import {Base} from "./support/Base.sol";

// Two pools that stand, one of them with sealed lanes
// ├── committees: many draws of many epochs and pools, each as alone
// └── Asks: the same answers and refusals as through the interfaces
contract CommitteesTest is Base {
    PoolId private constant SECOND = PoolId.wrap(2);

    ILibraries private libraries;

    function setUp() public override {
        super.setUp();
        libraries = _newLibraries();
        vm.prank(owner);
        registry.createPool(SECOND, _terms());
        _registerMany(5, 2);
        for (uint256 i; i < 4; ++i) {
            _register(SECOND, rival, 3);
        }
        _rollTo(_epoch() + 4);
        for (uint256 i = 1; i <= 3; ++i) {
            _commit(_node(i), "");
        }
    }

    /// @dev Seeds and draw words by turns: of the last six epochs and both pools, of any size from none to fifteen.
    function _draws(uint256 seed, uint256 count) private view returns (uint256[] memory draws) {
        draws = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            draws[i] = i & 1 == 0
                ? seed
                : (seed % 99) << 160 | (_epoch() - (seed >> 8) % 6) << 128 | ((seed & 1) + 1) << 112
                    | ((seed >> 16) % 16) << 104;
        }
    }

    function testFuzz_committees__manyAtOnce__eachAsAlone(uint256 seed) public view {
        uint256[] memory draws = _draws(seed, 20);
        uint256[] memory slots = registry.committees(draws);
        uint256[] memory one = new uint256[](2);
        for (uint256 i; i < 10; ++i) {
            (one[0], one[1]) = (draws[2 * i], draws[2 * i + 1]);
            uint256[] memory alone = registry.committees(one);
            assertEq(slots[2 * i], alone[0], "low");
            assertEq(slots[2 * i + 1], alone[1], "high");
        }
    }

    function testFuzz_asks__committees__equalTheInterfaces(uint256 seed, uint256 count) public view {
        uint256[] memory draws = _draws(seed, bound(count, 0, 24));
        assertEq(libraries.committees(registry, draws), registry.committees(draws), "answer");
    }

    function test_asks__refused__passesTheReasonOn() public {
        uint256[] memory draws = _draws(1, 2);
        draws[1] = 1 << 128 | 1 << 112 | 3 << 104;
        bytes memory reason =
            abi.encodeWithSelector(INodeRegistry.DrawOutOfRange.selector, _epoch() + 2 - shape.ring, _epoch() + 1, 1);
        vm.expectRevert(reason);
        registry.committees(draws);
        vm.expectRevert(reason);
        libraries.committees(registry, draws);
    }

    function testFuzz_asks__lanes__equalTheInterfaces(bytes memory pairs, uint256 seed) public view {
        for (uint256 i = 1; i <= 3; ++i) {
            pairs = abi.encodePacked(uint32(i), uint32(_epoch()), pairs, uint32(i), uint32(seed >> (32 * i)));
        }
        assertEq(libraries.lanes(ledger, pairs), ledger.lanes(pairs), "answer");
        assertEq(libraries.lanes(ledger, ""), ledger.lanes(""), "none");
    }
}
