// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";

// replaceKey
// ├── not the operator, the key included: NotOperator(node, expected, actual); unknown: UnknownNode(node)
// ├── consent late or another's, key in use: as for register
// └── else: the old key is dead at once
// announce
// ├── neither operator nor key: NotOperatorOrKey(node, caller)
// └── else: the event
contract KeysTest is Base {
    event NodeAnnounced(NodeId indexed node, string endpoint, bytes32 metadata);
    event KeyReplaced(NodeId indexed node, address indexed oldKey, address indexed newKey);

    uint256 internal constant SECRET = 0xC0FFEE;
    address internal key = vm.addr(SECRET);

    function _registerNode() private returns (NodeId node) {
        bytes memory consent = _consent(SECRET, operator, block.timestamp);
        vm.prank(operator);
        node = registry.register(pool, 1, key, block.timestamp, consent, "", bytes32(0));
    }

    // --- keys -----------------------------------------------------------------------------------------------------

    function _replace(address caller, NodeId node, uint256 secret) private {
        bytes memory consent = _consent(secret, caller, block.timestamp);
        vm.prank(caller);
        registry.replaceKey(node, vm.addr(secret), block.timestamp, consent);
    }

    function test_replaceKey__operator__killsTheOldKeyAtOnce() public {
        NodeId node = _registerNode();
        vm.expectEmit(address(registry));
        emit KeyReplaced(node, key, vm.addr(0xF00D));
        _replace(operator, node, 0xF00D);
        assertEq(ledger.nodeOf(key), _node(0), "old");
        assertEq(ledger.nodeOf(vm.addr(0xF00D)), node, "new");
        assertEq(registry.nodeView(node).key, vm.addr(0xF00D), "view");
    }

    function test_replaceKey__notTheOperator__reverts() public {
        NodeId node = _registerNode();
        address[3] memory callers = [rival, key, owner];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotOperator.selector, node, operator, callers[i]));
            vm.prank(callers[i]);
            registry.replaceKey(node, vm.addr(0xF00D), block.timestamp, "");
        }
    }

    function test_replaceKey__unknownNode__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, _node(4)));
        registry.replaceKey(_node(4), key, block.timestamp, "");
    }

    function test_replaceKey__keyOfAnotherNode__reverts() public {
        NodeId node = _registerNode();
        NodeId other = _register(operator, 1);
        bytes memory consent = _consent(secretOf[other], operator, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.KeyInUse.selector, keyOf[other], other));
        vm.prank(operator);
        registry.replaceKey(node, keyOf[other], block.timestamp, consent);
    }

    function test_replaceKey__itsOwnKeyOrAnOldOne__isBoundAgain() public {
        NodeId node = _registerNode();
        _replace(operator, node, SECRET);
        assertEq(ledger.nodeOf(key), node, "same");
        _replace(operator, node, 0xF00D);
        _replace(operator, node, SECRET);
        assertEq(ledger.nodeOf(key), node, "again");
        assertEq(ledger.nodeOf(vm.addr(0xF00D)), _node(0), "dead");
    }

    function test_replaceKey__late__reverts() public {
        NodeId node = _registerNode();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ConsentExpired.selector, 5, block.timestamp));
        vm.prank(operator);
        registry.replaceKey(node, vm.addr(0xF00D), 5, "");
    }

    // --- announce -------------------------------------------------------------------------------------------------

    function test_announce__operatorOrKey__emits() public {
        NodeId node = _registerNode();
        address[2] memory callers = [operator, key];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectEmit(address(registry));
            emit NodeAnnounced(node, "http://b.example", "other");
            vm.prank(callers[i]);
            registry.announce(node, "http://b.example", "other");
        }
    }

    function test_announce__anotherCaller__reverts() public {
        NodeId node = _registerNode();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotOperatorOrKey.selector, node, rival));
        vm.prank(rival);
        registry.announce(node, "", bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, _node(9)));
        registry.announce(_node(9), "", bytes32(0));
    }

    function test_nodeView__unknown__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, _node(9)));
        registry.nodeView(_node(9));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, _node(9)));
        registry.operatorOf(_node(9));
    }
}
