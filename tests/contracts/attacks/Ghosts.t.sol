// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../../contracts/interfaces/Types.sol";
import {Scenes} from "../support/Scenes.sol";
import {SettleCalls} from "../support/SettleCalls.sol";

// A pool stuffed with seats that cannot serve: every probe of a draw hits one
// ├── a committee of fifteen still settles far under the gas of one transaction
// └── the list changed in every epoch of the ring: so does an absence reported as late as one can be
contract GhostsAttackTest is Scenes {
    uint256 private constant GAS_CAP = 1 << 24;

    /// @dev Twenty that serve, a hundred of the rival's that rest.
    function _haunt() private {
        _registerMany(20, 1);
        for (uint256 i; i < 100; ++i) {
            NodeId ghost = _register(rival, 2);
            vm.prank(rival);
            registry.pauseNode(ghost);
        }
        _rollTo(_counting() + 1);
    }

    function test_attack__poolOfGhosts__fails() public {
        _haunt();
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum) = (15, 8);
        uint256 gas;
        uint256 settled;
        for (uint256 i; i < 12; ++i) {
            JobId job = _post(spec);
            Answer memory answer = _answer(job, 0, 0);
            _play(answer);
            SettleCalls.Call memory plan = _plan(_one(answer));
            if (_ones(_paidSlots(answer)) < 8) continue;
            ++settled;
            uint256 used = _sendMetered(plan, NodeId.wrap(0));
            if (used > gas) gas = used;
        }
        assertEq(settled, 0, "DBG");
        assertEq(gas, 0, "DBG");
    }
}
