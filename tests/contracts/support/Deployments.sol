// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IClock} from "../../../contracts/interfaces/IClock.sol";
import {ICommitLedger} from "../../../contracts/interfaces/ICommitLedger.sol";
import {ICourt} from "../../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../../contracts/interfaces/INodeRegistry.sol";
import {ILibraries} from "../../../contracts/mocks/ILibraries.sol";
import {Assertions} from "./Assertions.sol";

// All that the contracts answer to: their interfaces and what they inherit from OpenZeppelin.

interface IDeployedRegistry is INodeRegistry, IAccessManaged {
    function paused() external view returns (bool);
}

interface IDeployedLedger is ICommitLedger, IClock {
    function registry() external view returns (INodeRegistry);
}

interface IDeployedCourt is ICourt, IClock {
    function BURNED() external view returns (address);
}

interface IDeployedMarket is IJobMarket, IClock, IAccessManaged {
    function ledger() external view returns (ICommitLedger);
    function registry() external view returns (INodeRegistry);
    function paused() external view returns (bool);
}

interface IDeployedToken is IERC20Metadata, IERC20Permit, IAccessManaged {
    error CapExceeded(uint256 cap, uint256 actual);

    function mint(address to, uint256 amount) external;
    function burn(uint256 amount) external;
    function burnFrom(address from, uint256 amount) external;
    function minted() external view returns (uint256);
    function CAP() external view returns (uint256);
}

/// @title The contracts as they are deployed
/// @dev Tests compile with the quick pipeline, contracts/ with the one that is deployed (foundry.toml). So a test imports
/// no contract that it is about: it would get a copy of the wrong compilation. It deploys the artifact, and talks to
/// it by its interfaces.
abstract contract Deployments is Assertions {
    struct MarketParams {
        uint32 settleGrace;
        uint32 reportEpochs;
        uint16 settleFeeBps;
        uint16 absentBps;
    }

    function _newAuthority(address admin) internal returns (IAccessManager) {
        return IAccessManager(_deploy("Authority", abi.encode(admin)));
    }

    function _newToken(address authority_, address holder_, uint256 supply, uint256 cap)
        internal
        returns (IDeployedToken)
    {
        return IDeployedToken(_deploy("QuorateToken", abi.encode(authority_, holder_, supply, cap)));
    }

    function _newStablecoin(address holder_, uint256 supply) internal returns (IDeployedToken) {
        return IDeployedToken(_deploy("TestStablecoin", abi.encode(holder_, supply)));
    }

    function _newRegistry(address authority_, address token_, uint32 epochBlocks, uint32 ring, uint32 lead)
        internal
        returns (IDeployedRegistry)
    {
        return IDeployedRegistry(_deploy("NodeRegistry", abi.encode(authority_, token_, epochBlocks, ring, lead)));
    }

    function _newLedger(INodeRegistry registry_, uint32 revealGrace, uint16 unrevealedBps)
        internal
        returns (IDeployedLedger)
    {
        return IDeployedLedger(_deploy("CommitLedger", abi.encode(registry_, revealGrace, unrevealedBps)));
    }

    function _newCourt(INodeRegistry registry_, ICommitLedger ledger_, uint8 judges, uint16 wrongBps)
        internal
        returns (IDeployedCourt)
    {
        return IDeployedCourt(_deploy("Court", abi.encode(registry_, ledger_, judges, wrongBps)));
    }

    function _newMarket(
        address authority_,
        INodeRegistry registry_,
        ICommitLedger ledger_,
        address token_,
        address court_,
        MarketParams memory params
    ) internal returns (IDeployedMarket) {
        return IDeployedMarket(_deploy("JobMarket", abi.encode(authority_, registry_, ledger_, token_, court_, params)));
    }

    function _newLibraries() internal returns (ILibraries) {
        return ILibraries(_deploy("LibraryHarness", ""));
    }

    /// @dev Creates from an artifact of contracts/. A constructor that reverts, reverts here with its own error.
    function _deploy(string memory name, bytes memory arguments) internal returns (address made) {
        bytes memory code = bytes.concat(vm.getCode(string.concat(name, ".sol:", name)), arguments);
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            if iszero(made) {
                let free := mload(0x40)
                returndatacopy(free, 0, returndatasize())
                revert(free, returndatasize())
            }
        }
    }
}
