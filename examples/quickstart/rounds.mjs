// Asks questions: one after another, all at once, or again and again beside a writer.
import { isDeepStrictEqual } from 'node:util'

/** Asks one question and puts the answer beside it. */
async function ask({ question, statement }) {
  return { ...question, rows: await statement.all(question.params) }
}

/** Asks all questions at once. */
async function askAll(questions) {
  const started = performance.now()
  const answers = await Promise.all(questions.map(ask))
  return { answers, ms: performance.now() - started }
}

/**
 * Asks one question after another, then all at once, twice each, and returns the quicker times: the first time, a reader still has to
 * read pages of the file.
 */
export async function compareWays(questions) {
  const inTurn = [await askInTurn(questions), await askInTurn(questions)]
  const together = [await askAll(questions), await askAll(questions)]
  const { answers } = together[0]
  const agree = [...inTurn, ...together].every((round) => isDeepStrictEqual(round.answers, answers))
  if (!agree) throw new Error('the same questions got different answers')
  return { answers, inTurnMs: quickest(inTurn), togetherMs: quickest(together) }
}

function quickest(rounds) {
  return Math.min(...rounds.map((round) => round.ms))
}

/** Asks one question after another. */
async function askInTurn(questions) {
  const started = performance.now()
  const answers = []
  for (const question of questions) answers.push(await ask(question))
  return { answers, ms: performance.now() - started }
}

/** Asks all questions at once, over and over, as long as `isWriting` says so, and counts the cities seen in each round. */
export async function askWhile(db, questions, isWriting) {
  const count = db.prepare('SELECT count(*) AS cities FROM cities')
  const citiesSeen = []
  do {
    const [{ cities }] = await Promise.all([count.get(), askAll(questions)])
    citiesSeen.push(cities)
  } while (isWriting())
  return { rounds: citiesSeen.length, citiesSeen }
}
