// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../../contracts/interfaces/Types.sol";
import {ManyScenes} from "../support/ManyScenes.sol";
import {SettleCalls} from "../support/SettleCalls.sol";

// A settler that is not honest
// ├── strips openings to pay a quorum only: who was left out claims, and nobody but the settler loses
// ├── settles one shard of another's call first: the rest of that call is paid as it would have been
// ├── lists lanes of nobody to push the real ones to the last index: pays as ever, and one more is refused
// └── makes the call's byte strings overlap: nothing is paid that was not answered
contract SettlersAttackTest is ManyScenes {
    /// @dev The requester copies a settler's call, leaves out what it can, and takes the fee.
    function test_attack__openingsStripped__fails() public {
        JobId job = _jobOf(1, 3, 0);
        Answer memory answer = _answer(job, 0, 0);
        _play(answer);
        uint256 spent = payToken.balanceOf(requester);
        _send(_planWithout(answer, 1), requester);
        assertEq(_paid(), 2 * PAY, "a quorum");
        NodeId victim = _member(_id(job), 0, 0, 0);
        bytes memory opening = _claimOpening(answer, victim);
        vm.prank(stranger);
        market.claim(job, 0, _receipt(answer, 6), 0, opening);
        assertEq(_matured(victim), PAY, "all of its pay, at once");
        _rollTo(market.jobView(job).closableFrom);
        market.close(job);
        market.collect(requester);
        assertEq(payToken.balanceOf(requester) - spent, 3 * PAY / 100, "what was kept is the fee and no pay");
    }

    function test_attack__oneShardSettledFirst__fails() public {
        Answer[] memory answers = _four();
        SettleCalls.Call memory plan = _plan(answers);
        vm.prank(rival);
        SettleCalls.Call memory one = _plan(_one(answers[1]));
        market.settle(one.entries, one.lanes, one.openings, NodeId.wrap(0));
        assertEq(_send(plan, stranger), 3, "the rest");
        assertEq(_paid(), (2 * 3 + 2 * 2) * PAY, "every slot, once");
        assertEq(market.owedTo(stranger), (3 + 2 * 2) * PAY / 100, "and its fee");
    }

    /// @dev Pairs of node 0 are the lowest there are.
    function _padded(SettleCalls.Call memory plan, uint256 count)
        private
        pure
        returns (SettleCalls.Call memory padded)
    {
        for (uint256 i; i < count; ++i) {
            padded.lanes = abi.encodePacked(padded.lanes, uint64(i));
        }
        padded.lanes = abi.encodePacked(padded.lanes, plan.lanes);
        padded.entries = _shifted(plan.entries, 45, 3, uint8(count));
        padded.openings = plan.openings;
        uint256 step = plan.openings.length / 3; // three lanes, each opened by the same leaf alone
        for (uint256 i; i < 3; ++i) {
            padded.openings = _shifted(padded.openings, i * step, 1, uint8(count));
        }
    }

    function _shifted(bytes memory data, uint256 from, uint256 count, uint8 by)
        private
        pure
        returns (bytes memory out)
    {
        out = abi.encodePacked(data);
        for (uint256 i = from; i < from + count; ++i) {
            out[i] = bytes1(uint8(out[i]) + by);
        }
    }

    function test_attack__lanesOfNobody__fails() public {
        JobId job = _jobOf(1, 3, 0);
        Answer memory answer = _answer(job, 0, 0);
        _play(answer);
        SettleCalls.Call memory plan = _plan(_one(answer));
        _refused(_padded(plan, 252), _malformed("lanes", 255));
        SettleCalls.Call memory most = _padded(plan, 251);
        assertEq(uint8(most.entries[47]) | uint8(most.entries[46]) | uint8(most.entries[45]), 0xff, "up to index 253");
        // One hint more names no lane; so does a hint at a lane of nobody.
        SettleCalls.Call memory wrong = _padded(plan, 251);
        for (uint256 i = 45; i < 48; ++i) {
            if (wrong.entries[i] == 0xfd) wrong.entries[i] = 0xfe;
        }
        _expectNamedError(wrong);
        for (uint256 i = 45; i < 48; ++i) {
            if (wrong.entries[i] == 0xfe) wrong.entries[i] = 0;
        }
        _expectNamedError(wrong);
        assertEq(_send(most, stranger), 1, "settles");
        assertEq(_paid(), 3 * PAY, "as ever");
    }

    /// @dev Where the three byte strings begin is the sender's choice: they may share bytes, or lie in one another. Every
    /// mix of: where one of the three begins, or up to two bytes further.
    function test_attack__overlappingStrings__fails() public {
        SettleCalls.Call memory plan = _plan(_four());
        for (uint256 mix; mix < 6 ** 3; ++mix) {
            bytes memory data = _displaced(plan, mix);
            uint256 id = vm.snapshotState();
            vm.prank(stranger);
            (bool ok, bytes memory answer) = address(market).call(data);
            if (ok) {
                assertTrue(abi.decode(answer, (uint256)) == 4 && _paid() == (2 * 3 + 2 * 2) * PAY, "all or nothing");
            } else {
                assertEq(_paid(), 0, "nothing");
            }
            vm.revertToState(id);
        }
        assertEq(_send(plan, stranger), 4, "the honest call settles");
    }

    /// @dev The call with its three offsets replaced; each digit of `mix` chooses for one.
    function _displaced(SettleCalls.Call memory plan, uint256 mix) private pure returns (bytes memory data) {
        data = abi.encodeCall(IJobMarket.settle, (plan.entries, plan.lanes, plan.openings, NodeId.wrap(0)));
        uint256[3] memory own;
        for (uint256 i; i < 3; ++i) {
            assembly ("memory-safe") {
                mstore(add(own, shl(5, i)), mload(add(add(data, 36), shl(5, i))))
            }
        }
        for (uint256 i; i < 3; ++i) {
            uint256 choice = mix / 6 ** i % 6;
            uint256 offset = choice < 3 ? own[choice] : own[i] + choice - 3;
            assembly ("memory-safe") {
                mstore(add(add(data, 36), shl(5, i)), offset)
            }
        }
    }
}
