import { eq, relations, sql } from 'drizzle-orm'
import { blob, integer, numeric, primaryKey, real, sqliteTable, sqliteView, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

export const authors = sqliteTable(
  'authors',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    name: text('name').notNull(),
    email: text('email').unique(),
    city: text('city').default('London'),
    mentorId: integer('mentor_id'),
  },
  (table) => [uniqueIndex('one_name_per_city').on(table.name, table.city)],
)

export const books = sqliteTable('books', {
  id: integer('id').primaryKey(),
  authorId: integer('author_id').notNull().references(() => authors.id, { onDelete: 'cascade' }),
  title: text('title').notNull(),
  copies: integer('copies').notNull().default(0),
})

export const genres = sqliteTable('genres', {
  id: integer('id').primaryKey(),
  name: text('name').notNull(),
})

export const shelving = sqliteTable(
  'shelving',
  {
    bookId: integer('book_id').notNull().references(() => books.id),
    genreId: integer('genre_id').notNull().references(() => genres.id),
  },
  (table) => [primaryKey({ columns: [table.bookId, table.genreId] })],
)

/** A column of each kind, all of which may be NULL. */
export const kinds = sqliteTable('kinds', {
  id: integer('id').primaryKey(),
  whole: integer('whole'),
  flag: integer('flag', { mode: 'boolean' }),
  seconds: integer('seconds', { mode: 'timestamp' }),
  millis: integer('millis', { mode: 'timestamp_ms' }),
  ratio: real('ratio'),
  label: text('label'),
  colour: text('colour', { enum: ['red', 'green'] }),
  document: text('document', { mode: 'json' }).$type<{ a: number[] }>(),
  bytes: blob('bytes', { mode: 'buffer' }),
  blobDocument: blob('blob_document', { mode: 'json' }).$type<{ b: string }>(),
  huge: blob('huge', { mode: 'bigint' }),
  amount: numeric('amount'),
  amountNumber: numeric('amount_number', { mode: 'number' }),
  amountBigint: numeric('amount_bigint', { mode: 'bigint' }),
})

export const readers = sqliteView('readers').as((qb) => qb
  .select({ id: authors.id, name: authors.name })
  .from(authors)
  .where(eq(authors.city, 'London')))

export const copiesByAuthor = sqliteView('copies_by_author', {
  authorId: integer('author_id'),
  total: integer('total'),
}).as(sql`SELECT author_id, sum(copies) AS total FROM books GROUP BY author_id`)

export const authorsRelations = relations(authors, ({ one, many }) => ({
  mentor: one(authors, { fields: [authors.mentorId], references: [authors.id], relationName: 'mentoring' }),
  students: many(authors, { relationName: 'mentoring' }),
  books: many(books),
}))

export const booksRelations = relations(books, ({ one, many }) => ({
  author: one(authors, { fields: [books.authorId], references: [authors.id] }),
  genres: many(shelving),
}))

export const genresRelations = relations(genres, ({ many }) => ({ books: many(shelving) }))

export const shelvingRelations = relations(shelving, ({ one }) => ({
  book: one(books, { fields: [shelving.bookId], references: [books.id] }),
  genre: one(genres, { fields: [shelving.genreId], references: [genres.id] }),
}))

export const DDL: string = `
  CREATE TABLE authors (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email TEXT UNIQUE, city TEXT DEFAULT 'London', mentor_id INTEGER
  );
  CREATE UNIQUE INDEX one_name_per_city ON authors (name, city);
  CREATE TABLE books (
    id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES authors (id) ON DELETE CASCADE, title TEXT NOT NULL,
    copies INTEGER NOT NULL DEFAULT 0 CHECK (copies >= 0)
  );
  CREATE TABLE genres (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
  CREATE TABLE shelving (
    book_id INTEGER NOT NULL REFERENCES books (id), genre_id INTEGER NOT NULL REFERENCES genres (id), PRIMARY KEY (book_id, genre_id)
  );
  CREATE TABLE kinds (
    id INTEGER PRIMARY KEY, whole INTEGER, flag INTEGER, seconds INTEGER, millis INTEGER, ratio REAL, label TEXT, colour TEXT,
    document TEXT, bytes BLOB, blob_document BLOB, huge BLOB, amount NUMERIC, amount_number NUMERIC, amount_bigint NUMERIC
  );
  CREATE VIEW readers AS SELECT id, name FROM authors WHERE city = 'London';
  CREATE VIEW copies_by_author AS SELECT author_id, sum(copies) AS total FROM books GROUP BY author_id;
`
