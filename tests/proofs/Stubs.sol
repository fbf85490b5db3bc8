// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";

/// @title What ledger, Court and the market's books ask of a registry
/// @dev Stands where the real one would: the proofs are about what they do with any answer of it.
contract RegistryStub {
    uint32 public constant EPOCH_BLOCKS = 10;
    uint32 public constant RING = 128;
    uint32 public constant LEAD = 4;

    address public market;
    address public court;
    uint256 public slashes;
    uint256[2] private _committee;

    function wire(address market_, address court_) external {
        (market, court) = (market_, court_);
    }

    function seat(uint256 low, uint256 high) external {
        _committee = [low, high];
    }

    function slash(uint32, uint16, address, uint32) external returns (uint96) {
        ++slashes;
        return 0;
    }

    function operatorOf(uint32) external pure returns (address) {
        return address(0xC01D);
    }

    function payeeOf(address caller) external pure returns (address) {
        return caller;
    }

    function committees(uint256[] calldata) external view returns (uint256[] memory slots) {
        slots = new uint256[](2);
        (slots[0], slots[1]) = (_committee[0], _committee[1]);
    }
}

/// @title What the Court asks of a ledger: nobody is a node, every seed is known, one lane's word answers for all
contract LedgerStub {
    uint256 public word;
    uint256 public marks;

    function open(uint256 word_) external {
        word = word_;
    }

    function nodeOf(address) external pure returns (uint32) {
        return 0;
    }

    function seedOf(uint32) external pure returns (bytes32) {
        return bytes32(uint256(1));
    }

    function markWrong(uint32, uint32) external {
        ++marks;
    }

    function lanes(bytes calldata) external view returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = word;
    }
}

/// @title What the Court asks of a market and its token
/// @dev Job 1 is the appealed one, job 2 the case. It says what it is told to, and keeps what the Court assigned to whom.
contract MarketStub {
    uint32 public constant SETTLE_GRACE = 8;
    uint32 public constant REPORT_EPOCHS = 4;
    uint16 public constant SETTLE_FEE_BPS = 100;
    address public constant REQUESTER = address(0x9E0);

    uint256 public word;
    uint256 public bond;
    uint256 public settledAt;
    uint256 public refund;
    bool public caseSettled;
    mapping(address account => uint256) public assigned;
    mapping(address account => uint256) public balanceOf;
    mapping(NodeId node => uint256) private _immature;

    function appealed(uint256 word_, uint256 bond_, uint256 settledAt_) external {
        (word, bond, settledAt) = (word_, bond_, settledAt_);
    }

    function ended(bool settled, uint256 refund_) external {
        (caseSettled, refund) = (settled, refund_);
    }

    function owe(uint32 node, uint256 amount) external {
        _immature[NodeId.wrap(node)] = amount;
    }

    function paymentToken() external view returns (address) {
        return address(this);
    }

    function transferFrom(address, address to, uint256 amount) external returns (bool) {
        balanceOf[to] += amount;
        return true;
    }

    /// @dev As of a token that pays out of nothing.
    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[to] += amount;
        return true;
    }

    function jobWord(JobId) external view returns (uint256) {
        return word;
    }

    function jobView(JobId) external pure returns (IJobMarket.JobView memory v) {
        v.requester = REQUESTER;
    }

    function isSettled(JobId, uint32) external view returns (bool) {
        return caseSettled;
    }

    function settlementEpoch(bytes32) external view returns (uint32) {
        return uint32(settledAt);
    }

    function postCase(JobId, uint32, uint8, uint8) external view returns (JobId, uint256) {
        return (JobId.wrap(2), bond);
    }

    function forfeit(NodeId node) external returns (uint256 amount) {
        amount = _immature[node];
        _immature[node] = 0;
    }

    function close(JobId) external view returns (uint256) {
        return refund;
    }

    function assign(address account, uint256 amount) external {
        assigned[account] += amount;
    }
}
