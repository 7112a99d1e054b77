/** What sand's policy and its clients call the origins. */
export const ORIGIN_NAME = 'origin.bench.example';
