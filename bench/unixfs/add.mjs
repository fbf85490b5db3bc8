// The CID that ipfs-unixfs-importer gives a file in profile unixfs-v1-2025, storing nothing: node add.mjs FILE
import { createReadStream } from 'node:fs'
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'

const nowhere = { put: async (cid) => cid }
const content = createReadStream(process.argv[2], { highWaterMark: 1 << 20 })
const profile = {
  cidVersion: 1,
  rawLeaves: true,
  reduceSingleLeafToSelf: true,
  chunker: fixedSize({ chunkSize: 1 << 20 }),
  layout: balanced({ maxChildrenPerNode: 1024 }),
  wrapWithDirectory: false
}
for await (const { cid } of importer([{ path: 'file', content }], nowhere, profile)) console.log(cid.toString())
