// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {Deployments, IDeployedToken} from "./support/Deployments.sol";

// constructor
// ├── supply over cap: CapExceeded(cap, supply)
// └── else: holder has it all
// mint
// ├── without the role: AccessManagedUnauthorized(caller)
// ├── over the cap, burnt tokens included: CapExceeded(cap, minted + amount)
// └── else: minted and balance grow
// burn
// └── supply falls, minted stays
// permit
// ├── signed by the holder: allowance, once
// ├── by another: ERC2612InvalidSigner
// └── after its deadline: ERC2612ExpiredSignature
// TestStablecoin
// └── six decimals, fixed supply, permit
contract TokenTest is Deployments {
    uint256 internal constant CAP = 1_000 ether;
    uint256 internal constant HOLDER_SECRET = 0xA11CE;
    uint64 internal constant MINTER = 7;

    address internal owner = address(0xA);
    address internal stranger = address(0xB);
    address internal minter = address(0xC);
    address internal holder = vm.addr(HOLDER_SECRET);
    IAccessManager internal authority;
    IDeployedToken internal token;

    function setUp() public {
        authority = _newAuthority(owner);
        token = _newToken(address(authority), holder, 400 ether, CAP);
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = IDeployedToken.mint.selector;
        vm.startPrank(owner);
        authority.setTargetFunctionRole(address(token), selectors, MINTER);
        authority.grantRole(MINTER, minter, 0);
        vm.stopPrank();
    }

    function test_constructor__supplyInCap__givesAllToHolder() public view {
        assertEq(token.balanceOf(holder), 400 ether, "holder");
        assertEq(token.totalSupply(), 400 ether, "supply");
        assertEq(token.minted(), 400 ether, "minted");
        assertEq(token.CAP(), CAP, "cap");
        assertEq(token.symbol(), "QRT", "symbol");
    }

    function test_constructor__supplyOverCap__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IDeployedToken.CapExceeded.selector, CAP, CAP + 1));
        _newToken(address(authority), holder, CAP + 1, CAP);
    }

    function test_mint__noRole__reverts() public {
        address[3] memory callers = [stranger, holder, owner];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, callers[i]));
            vm.prank(callers[i]);
            token.mint(callers[i], 1);
        }
    }

    function test_mint__toTheCap__isAllowedAndNotOneMore() public {
        vm.startPrank(minter);
        token.mint(stranger, 600 ether);
        assertEq(token.balanceOf(stranger), 600 ether, "minted to");
        vm.expectRevert(abi.encodeWithSelector(IDeployedToken.CapExceeded.selector, CAP, CAP + 1));
        token.mint(stranger, 1);
        vm.stopPrank();
    }

    function test_mint__afterBurn__doesNotMintAgain() public {
        vm.prank(minter);
        token.mint(stranger, 600 ether);
        vm.prank(stranger);
        token.burn(600 ether);
        assertEq(token.totalSupply(), 400 ether, "supply fell");
        assertEq(token.minted(), CAP, "minted stays");
        vm.expectRevert(abi.encodeWithSelector(IDeployedToken.CapExceeded.selector, CAP, CAP + 5));
        vm.prank(minter);
        token.mint(stranger, 5);
    }

    function testFuzz_mint__anySequence__neverPassesCap(uint256[8] memory amounts) public {
        uint256 sum = 400 ether;
        for (uint256 i; i < amounts.length; ++i) {
            uint256 amount = bound(amounts[i], 0, CAP / 4);
            bool fits = sum + amount <= CAP;
            if (!fits) vm.expectRevert(abi.encodeWithSelector(IDeployedToken.CapExceeded.selector, CAP, sum + amount));
            vm.prank(minter);
            token.mint(stranger, amount);
            if (fits) sum += amount;
            assertEq(token.totalSupply(), sum, "supply");
        }
    }

    function _permit(uint256 secret, address spender, uint256 value, uint256 deadline)
        private
        view
        returns (uint8, bytes32, bytes32)
    {
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 message = keccak256(abi.encode(typehash, holder, spender, value, token.nonces(holder), deadline));
        return vm.sign(secret, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), message)));
    }

    function test_permit__holderSigned__allowsOnce() public {
        uint256 deadline = block.timestamp;
        (uint8 v, bytes32 r, bytes32 s) = _permit(HOLDER_SECRET, stranger, 5 ether, deadline);
        token.permit(holder, stranger, 5 ether, deadline, v, r, s);
        assertEq(token.allowance(holder, stranger), 5 ether, "allowance");
        vm.expectRevert();
        token.permit(holder, stranger, 5 ether, deadline, v, r, s);
    }

    function test_permit__anotherSigned__reverts() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(0xBAD, stranger, 5 ether, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(ERC20Permit.ERC2612InvalidSigner.selector, vm.addr(0xBAD), holder));
        token.permit(holder, stranger, 5 ether, block.timestamp, v, r, s);
    }

    function test_permit__late__reverts() public {
        uint256 deadline = 1_000;
        (uint8 v, bytes32 r, bytes32 s) = _permit(HOLDER_SECRET, stranger, 5 ether, deadline);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(ERC20Permit.ERC2612ExpiredSignature.selector, deadline));
        token.permit(holder, stranger, 5 ether, deadline, v, r, s);
    }

    function test_stablecoin__deployed__hasSixDecimalsAndFixedSupply() public {
        IDeployedToken coin = _newStablecoin(holder, 5e12);
        assertEq(coin.decimals(), 6, "decimals");
        assertEq(coin.totalSupply(), 5e12, "supply");
        assertEq(coin.balanceOf(holder), 5e12, "holder");
        assertNotEq(coin.DOMAIN_SEPARATOR(), bytes32(0), "permit");
    }
}
