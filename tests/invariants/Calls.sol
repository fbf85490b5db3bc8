// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SettleCalls} from "../contracts/support/SettleCalls.sol";
import {Cases} from "./Cases.sol";

/// @title Calls about what is going on in the story, sound in form, for others to spoil and to send out of time
abstract contract Calls is Cases {
    function blockNow() external view returns (uint256) {
        return block_;
    }

    function accountAt(uint256 index) external view returns (address) {
        return accounts[index % (accounts.length - 1)];
    }

    function keyAt(uint256 index) external view returns (address) {
        return keyOf[_node(1 + index % nodes)];
    }

    /// @dev Everybody who may come to money: the accounts, and the keys that settled or reported themselves.
    function everybody() external view returns (address[] memory all) {
        all = new address[](accounts.length + nodes);
        for (uint256 i; i < all.length; ++i) {
            all[i] = i < accounts.length ? accounts[i] : keyOf[_node(i - accounts.length + 1)];
        }
    }

    function contracts() external view returns (address market_, address registry_, address ledger_, address court_) {
        return (address(market), address(registry), address(ledger), address(court));
    }

    function tokens() external view returns (address pay, address stake) {
        return (address(payToken), address(stakeToken));
    }

    function someCall(uint256 seed) external view returns (address target, bytes memory data) {
        uint256 node = 1 + (seed >> 8) % nodes;
        uint256 what = seed % 16;
        if (what < 6 || live.length == 0) return _ofNodes(what, node, seed >> 16);
        uint256 number = live[(seed >> 16) % live.length];
        Piece storage p = pieces[number];
        return what < 11 ? _ofMarket(p, number, seed >> 32) : _ofCourt(p, number, seed >> 32);
    }

    function _ofNodes(uint256 what, uint256 node, uint256 seed) private view returns (address, bytes memory) {
        if (what == 0) return (address(market), abi.encodeCall(market.withdraw, (_node(node))));
        if (what == 1) return (address(market), abi.encodeCall(market.collect, (accounts[seed % accounts.length])));
        if (what == 2) return (address(registry), abi.encodeCall(registry.leaveSeats, (_node(node), uint8(seed % 3))));
        if (what == 3) return (address(registry), abi.encodeCall(registry.withdrawStake, (_node(node))));
        bool isWaiting = toOpen.length != 0 && (what == 4 || neverOpened.length == 0);
        if (toOpen.length + neverOpened.length == 0) {
            return (address(registry), abi.encodeCall(registry.relocate, (pool)));
        }
        uint256 lane = isWaiting ? toOpen[seed % toOpen.length] : neverOpened[seed % neverOpened.length];
        (node, lane) = (lane >> 32, uint32(lane));
        if (what == 5) return (address(ledger), abi.encodeCall(ledger.reportUnrevealed, (_node(node), uint32(lane))));
        bytes memory leaves = batchOf[_node(node)][lane];
        bytes32 manifest = _manifest(_node(node), lane);
        bytes32 salt = _salt(_node(node), lane);
        return (address(ledger), abi.encodeCall(ledger.reveal, (_node(node), uint32(lane), leaves, manifest, salt)));
    }

    function _ofMarket(Piece storage p, uint256 number, uint256 seed) private view returns (address, bytes memory) {
        uint256 what = seed % 8;
        if (what == 0) return (address(market), abi.encodeCall(market.close, (_job(p.job))));
        if (what == 1) return (address(market), abi.encodeCall(market.cancel, (_job(p.job))));
        if (p.drawn == 0) return (address(market), abi.encodeCall(market.post, (_spec())));
        uint256 slot = (seed >> 8) % p.committee;
        uint256 attempt = (seed >> 16) % p.drawn;
        bytes32 root = (seed >> 24) % 2 == 0 ? _right(_subject(p)) : _false(_subject(p));
        if (what < 5) {
            Claim[] memory claims = new Claim[](1);
            claims[0] = Claim(number, attempt, root, _matching(p, attempt, root));
            SettleCalls.Call memory plan = _planOf(claims);
            return
                (address(market), abi.encodeCall(market.settle, (plan.entries, plan.lanes, plan.openings, _node(slot))));
        }
        if (what == 5) {
            return
                (
                    address(market),
                    abi.encodeCall(market.reportAbsent, (_job(p.job), p.shard, _receiptOf(p), uint8(slot)))
                );
        }
        bytes memory opening = _openingFor(p, number, p.attempt, slot, p.root);
        return
            (address(market), abi.encodeCall(market.claim, (_job(p.job), p.shard, _receiptOf(p), uint8(slot), opening)));
    }

    function _ofCourt(Piece storage p, uint256 number, uint256 seed) private view returns (address, bytes memory) {
        uint256 what = seed % 4;
        if (what == 0) return (address(court), abi.encodeCall(court.appeal, (_job(p.job), p.shard, _receiptOf(p))));
        if (what == 1 || p.drawn == 0) {
            return (address(court), abi.encodeCall(court.resolve, (_job(p.job), p.shard, _receiptOf(pieces[p.caseAt]))));
        }
        if (what == 2) return (address(court), abi.encodeCall(court.closeCase, (_job(p.job), p.shard)));
        uint256 slot = (seed >> 8) % p.committee;
        uint256 attempt = (seed >> 16) % p.drawn;
        bytes32 root = answerOf[_laneAt(_slot(p.slots[attempt], slot), _commitAt(p, attempt))][_key(p)];
        bytes memory opening = _openingFor(p, number, attempt, slot, root);
        return (
            address(court),
            abi.encodeCall(court.reportWrong, (_job(p.job), p.shard, uint8(attempt), uint8(slot), root, opening))
        );
    }

    // --- what must hold whatever comes of them --------------------------------------------------------------------

    /// @dev Everything that the market owes by its views alone, every job there is.
    function owesByViews() external view returns (uint256 total) {
        for (uint64 j = 1; j <= market.jobCount(); ++j) {
            total += market.jobView(_job(j)).held;
        }
        for (uint256 i; i < accounts.length; ++i) {
            total += market.owedTo(accounts[i]);
        }
        for (uint256 n = 1; n <= nodes; ++n) {
            total += _earnings(n) + market.owedTo(keyOf[_node(n)]);
        }
    }

    function stakedByViews() external view returns (uint256 total) {
        total = _liabilities();
        for (uint256 i; i < accounts.length; ++i) {
            total += registry.rewardOf(accounts[i]);
        }
        for (uint256 n = 1; n <= nodes; ++n) {
            total += registry.rewardOf(keyOf[_node(n)]);
        }
    }

    /// @dev Every shard that was settled when the story stopped is settled still, by the same receipt.
    function settlementsStand() external view returns (bool) {
        for (uint256 i; i < live.length; ++i) {
            Piece storage p = pieces[live[i]];
            if (!p.settled) continue;
            if (!market.isSettled(_job(p.job), p.shard)) return false;
            market.shardStatus(_job(p.job), p.shard, _receiptOf(p)); // reverts when it was never settled so
        }
        return true;
    }
}
