import { z } from "zod";
import { idealMoves, movesByWorker, rowsMoved } from "../../core/ring/balance.js";
import { type Member, planRing } from "../../core/ring/plan.js";
import { RingSnapshot } from "../../core/ring/view.js";

const MAX_WORKERS = 1000;
const nameSchema = z.string().regex(/^[A-Za-z0-9._-]{1,63}$/);

/** Either a number of workers, or names that join and leave. */
export const previewRequestSchema = z
  .union([
    z.strictObject({ workers: z.int().min(0).max(MAX_WORKERS) }),
    z.strictObject({
      join: z.array(nameSchema).max(MAX_WORKERS).default([]),
      leave: z.array(nameSchema).max(MAX_WORKERS).default([]),
    }),
  ])
  .meta({ id: "PreviewRequest" });

export type PreviewRequest = z.infer<typeof previewRequestSchema>;

export const previewAnswerSchema = z
  .strictObject({
    base: z.int().nullable().describe("The ring version that it was planned on."),
    rows: z.int(),
    moved: z.int().describe("Rows that would change their worker."),
    ideal: z.int().describe("Rows that must, whatever the plan."),
    workers: z.array(
      z.strictObject({
        worker: z.string(),
        seat: z.int().nullable(),
        before: z.int(),
        after: z.int(),
        gains: z.int(),
        loses: z.int(),
      }),
    ),
  })
  .meta({ id: "PreviewAnswer" });

export type PreviewAnswer = z.infer<typeof previewAnswerSchema>;

/** What a change of membership would move, by the planner itself. Nothing changes. */
export function previewRing(
  base: RingSnapshot | null,
  request: PreviewRequest,
  slotRows: Uint32Array,
): PreviewAnswer {
  const members = membersAfter(base, request);
  const view = planRing(base, members, slotRows, []);
  const next = new RingSnapshot(view, (base?.version ?? 0) + 1);
  let rows = 0;
  for (const count of slotRows) rows += count;
  return {
    base: base?.version ?? null,
    rows,
    moved: rowsMoved(base, next, slotRows),
    ideal: idealMoves(base, next, slotRows),
    workers: movesByWorker(base, next, slotRows),
  };
}

/** Scaling down takes the highest seats, as Kubernetes takes a StatefulSet's last pods. */
function membersAfter(base: RingSnapshot | null, request: PreviewRequest): Member[] {
  const seated: Member[] = (base?.view.seats ?? []).map(({ worker, incarnation, weight, revision }) => {
    return { worker, incarnation, weight, revision };
  });
  const highest = Math.max(0, ...seated.map((member) => member.incarnation));
  const newcomer = (worker: string, index: number): Member => {
    return { worker, incarnation: highest + 1 + index, weight: 1, revision: seated[0]?.revision ?? "" };
  };
  if ("workers" in request) {
    const stay = seated.slice(0, request.workers);
    const more = Math.max(0, request.workers - stay.length);
    return [...stay, ...Array.from({ length: more }, (_, index) => newcomer(`new-${index + 1}`, index))];
  }
  const leave = new Set(request.leave);
  return [...seated.filter((member) => !leave.has(member.worker)), ...request.join.map(newcomer)];
}
