// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../../contracts/interfaces/Types.sol";
import {Scenes} from "../support/Scenes.sol";
import {SettleCalls} from "../support/SettleCalls.sol";

// A pool stuffed with a rival's seats that rest for ever: a draw finds one at most of its probes
// ├── three ghosts to every server: a committee of fifteen still settles, for a twentieth of a transaction's gas
// └── ten to every server: a committee of three still does
contract GhostsAttackTest is Scenes {
    /// @dev Most gas that one transaction may have (EIP-7825).
    uint256 private constant GAS_CAP = 1 << 24;
    uint256 private constant ROUNDS = 8;

    function _haunt(uint256 servers, uint256 ghosts) private {
        _registerMany(servers, 1);
        for (uint256 i; i < ghosts; ++i) {
            NodeId ghost = _register(rival, 1);
            vm.prank(rival);
            registry.pauseNode(ghost);
        }
        _rollTo(_counting() + 1);
    }

    /// @dev How many of some jobs of one shard get a quorum and settle, and the dearest of these calls.
    function _settleAll(uint8 committee, uint8 quorum) private returns (uint256 settled, uint256 gas) {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum) = (committee, quorum);
        for (uint256 i; i < ROUNDS; ++i) {
            JobId job = _post(spec);
            Answer memory answer = _answer(job, 0, 0);
            _play(answer);
            if (_ones(_paidSlots(answer)) < quorum) continue;
            SettleCalls.Call memory plan = _plan(_one(answer));
            uint256 used = _sendMetered(plan, NodeId.wrap(0));
            if (used > gas) gas = used;
            ++settled;
        }
    }

    function test_attack__threeGhostsToEveryServer__fails() public {
        _haunt(25, 75);
        (uint256 settled, uint256 gas) = _settleAll(15, 8);
        assertEq(settled, ROUNDS, "every job settles");
        assertLt(gas, GAS_CAP / 20, "and no settle is dear");
    }

    function test_attack__tenGhostsToEveryServer__fails() public {
        _haunt(20, 200);
        (uint256 settled,) = _settleAll(3, 2);
        assertEq(settled, ROUNDS, "every job settles");
    }
}
