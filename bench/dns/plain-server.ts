/** dns2 alone, with one fixed answer: what is left of sand's resolver without policy, records and guards. */
import { UDPServer } from 'dns2';
import { serveTasks } from '../program.ts';
