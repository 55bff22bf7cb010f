import { isSlotPlace, type LeasePlace } from '../model/assignment.ts';
import { type AssignedSlot, FOREIGN_SLOT } from '../model/membership.ts';
import { isPopUnit, type MessageQueue, type PopUnit } from '../model/message-queue.ts';
import type { GroupKey } from '../ports/assignment-store.ts';

/*
 * How the table writes what is leased. Deployments have such items, so the forms stay:
 *
 *   a queue           GROUP#<cluster>#<group>        QUEUE#<topic>#<broker>#<queueId>
 *   a place (POP)     the same                       QUEUE#<topic>#<broker>#<-1 - place>
 *   a slot            GROUP#<cluster>#<group>#seats  QUEUE#%SEAT%##<slot>
 *
 * Slot -1 in a queue's item: another member of the group owns it.
 */
export const QUEUE_PREFIX = 'QUEUE#';
/** A group's name never contains `#`. */
const SLOTS_SUFFIX = '#seats';
/** No broker has a topic of this name. */
const SLOT_TOPIC = '%SEAT%';
const FOREIGN = -1;

/** Topics never contain `#` and queue ids are digits: unambiguous whatever a broker is called. Read from attributes, never by splitting. */
export function sortKey(place: LeasePlace): string {
  const { topic, brokerName, queueId } = storedPlace(place);
  return `${QUEUE_PREFIX}${topic}#${brokerName}#${queueId}`;
}

export function storedPlace(place: LeasePlace): MessageQueue {
  if (isSlotPlace(place)) return { topic: SLOT_TOPIC, brokerName: '', queueId: place.slot };
  return isPopUnit(place) ? { ...place, queueId: -1 - place.queueId } : place;
}

export function placeFromStored({ topic, brokerName, queueId }: MessageQueue): LeasePlace {
  if (topic === SLOT_TOPIC) return { slot: queueId };
  if (queueId >= 0) return { topic, brokerName, queueId };
  const unit: PopUnit = { topic, brokerName, queueId: -1 - queueId, pops: true };
  return unit;
}

/** Slots stand in a partition of their own, or they would be taken for queues that left the route. */
export function slotsPart(group: GroupKey): GroupKey {
  return { ...group, consumerGroup: `${group.consumerGroup}${SLOTS_SUFFIX}` };
}

export function partOf(group: GroupKey, place: LeasePlace): GroupKey {
  return isSlotPlace(place) ? slotsPart(group) : group;
}

export function groupOfPart(consumerGroup: string): string {
  return consumerGroup.endsWith(SLOTS_SUFFIX)
    ? consumerGroup.slice(0, -SLOTS_SUFFIX.length)
    : consumerGroup;
}

export function storedSlot(slot: AssignedSlot): number {
  return slot === FOREIGN_SLOT ? FOREIGN : slot;
}

export function slotFromStored(slot: number): AssignedSlot {
  return slot === FOREIGN ? FOREIGN_SLOT : slot;
}
