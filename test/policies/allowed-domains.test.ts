import { expect, test } from 'vitest';
import { allowedDomains } from '../../policies/allowed-domains.ts';
import { inForce, policyOf } from './reader.ts';

const policy = policyOf(`version: 1
rules:
  - allow: [www.example.com, "*.example.com", "**.example.com", api-*.eu.example.net, "*.corp", 198.51.100.0/24]
  - deny: bad.example.org
phases:
  setup:
    rules:
      - allow: registry.example.org
  run: {}
`);

test('the fixed part of each pattern that allows, in any phase, and none below another', () => {
  expect(allowedDomains(inForce(policy), 10)).toEqual([
    'corp',
    'eu.example.net',
    'example.com',
    'registry.example.org',
  ]);
});

test('no more than are asked for', () => {
  expect(allowedDomains(inForce(policy), 2)).toEqual(['corp', 'eu.example.net']);
});
