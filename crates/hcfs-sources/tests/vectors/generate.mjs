// Makes unixfs.json: the CIDs that the JavaScript UnixFS importer gives files of a known pattern.
//
// Run in a directory of its own:
//   npm init -y
//   npm install ipfs-unixfs-importer@17.1.1 multiformats@14.0.5 @noble/hashes@2.4.0
//   node generate.mjs > unixfs.json
//
// Byte i of a file is (i + 7 * floor(i / 256) + 13 * floor(i / 65536)) mod 256.
import { importByteStream } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { from } from 'multiformats/hashes/hasher'
import { blake2b } from '@noble/hashes/blake2.js'
import { blake3 } from '@noble/hashes/blake3.js'

const KIB = 1024

function pattern (length) {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i + 7 * Math.floor(i / 256) + 13 * Math.floor(i / 65536)) & 255
  return bytes
}

// Blocks are not wanted, only their CIDs.
const nowhere = { put: async (cid) => cid, get: async () => { throw new Error('nothing is kept') } }

const importers = {
  'v0, file leaves': { cidVersion: 0, rawLeaves: false, leafType: 'file' },
  'v0, raw nodes': { cidVersion: 0, rawLeaves: false, leafType: 'raw' },
  'v0, raw leaves': { cidVersion: 0, rawLeaves: true },
  'v1, raw leaves': { cidVersion: 1, rawLeaves: true },
  'v1, file leaves': { cidVersion: 1, rawLeaves: false, leafType: 'file' },
  'v1, raw leaves, never reduced': { cidVersion: 1, rawLeaves: true, reduceSingleLeafToSelf: false }
}

async function tree (size, chunk, links, importer) {
  const { cid } = await importByteStream([pattern(size)], nowhere, {
    ...importers[importer],
    chunker: fixedSize({ chunkSize: chunk }),
    layout: balanced({ maxChildrenPerNode: links })
  })
  return { importer, chunk, links, size, cid: cid.toString() }
}

const trees = []
const CLASSIC = 256 * KIB
for (const importer of Object.keys(importers)) {
  for (const size of [0, 1, 100, CLASSIC - 1, CLASSIC, CLASSIC + 1, 2 * CLASSIC, 3 * CLASSIC + 5]) {
    trees.push(await tree(size, CLASSIC, 174, importer))
  }
}
// One level becomes two.
for (const importer of ['v0, file leaves', 'v1, raw leaves']) {
  for (const size of [173 * CLASSIC, 174 * CLASSIC - 1, 174 * CLASSIC, 174 * CLASSIC + 1, 175 * CLASSIC]) {
    trees.push(await tree(size, CLASSIC, 174, importer))
  }
}
// Two levels become three, and three become four; with chunks that keep the files small.
for (const importer of ['v0, file leaves', 'v1, raw leaves']) {
  for (const leaves of [174 * 174 - 1, 174 * 174, 174 * 174 + 1, 174 * 175, 2 * 174 * 174 + 1]) {
    trees.push(await tree(leaves * 8, 8, 174, importer))
  }
  for (const leaves of [2, 3, 4, 26, 27, 28, 81, 82, 243, 244]) {
    trees.push(await tree(leaves * 8 - 3, 8, 3, importer))
  }
}
// What newer importers do.
for (const importer of ['v1, raw leaves', 'v1, file leaves']) {
  for (const size of [CLASSIC + 1, 1024 * KIB, 1024 * KIB + 1, 5 * 1024 * KIB]) {
    trees.push(await tree(size, 1024 * KIB, 1024, importer))
  }
}

const raw = []
const hashes = {
  identity,
  sha256,
  sha512,
  'blake2b-256': from({ name: 'blake2b-256', code: 0xb220, encode: (bytes) => blake2b(bytes, { dkLen: 32 }) }),
  'blake2b-512': from({ name: 'blake2b-512', code: 0xb240, encode: (bytes) => blake2b(bytes, { dkLen: 64 }) }),
  blake3: from({ name: 'blake3', code: 0x1e, encode: (bytes) => blake3(bytes) })
}
for (const [hash, hasher] of Object.entries(hashes)) {
  for (const size of hash === 'identity' ? [0, 1, 36] : [0, 1, 1000, 300000]) {
    const digest = await hasher.digest(pattern(size))
    raw.push({ hash, size, cid: CID.createV1(0x55, digest).toString() })
  }
}

console.log('{\n  "trees": [')
console.log(trees.map((line) => '    ' + JSON.stringify(line)).join(',\n'))
console.log('  ],\n  "raw": [')
console.log(raw.map((line) => '    ' + JSON.stringify(line)).join(',\n'))
console.log('  ]\n}')
