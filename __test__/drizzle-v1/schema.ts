import { defineRelations, sql } from 'drizzle-orm'
import { blob, integer, numeric, primaryKey, real, sqliteTable, sqliteView, text } from 'drizzle-orm/sqlite-core'

/** The tables, as SQLite is told. */
export const DDL = `
  CREATE TABLE users (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE, city TEXT, inviter_id INTEGER REFERENCES users (id)
  );
  CREATE TABLE posts (
    id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE, title TEXT NOT NULL,
    views INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE posts_tags (
    post_id INTEGER NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    tag_id INTEGER NOT NULL REFERENCES tags (id), PRIMARY KEY (post_id, tag_id)
  );
  CREATE TABLE kinds (
    id INTEGER PRIMARY KEY, owner_id INTEGER, flag INTEGER, seconds INTEGER, milliseconds INTEGER, whole INTEGER, floating REAL, plain TEXT,
    colour TEXT, doc TEXT, bytes BLOB, blob_doc BLOB, blob_big BLOB, exact NUMERIC, exact_number NUMERIC, exact_big NUMERIC
  );
  CREATE VIEW names AS SELECT id, name FROM users;
`

export const users = sqliteTable('users', {
  id: integer().primaryKey(),
  name: text().notNull(),
  email: text(),
  city: text(),
  inviterId: integer('inviter_id'),
})

export const posts = sqliteTable('posts', {
  id: integer().primaryKey(),
  authorId: integer('author_id').notNull(),
  title: text().notNull(),
  views: integer().notNull().default(0),
})

export const tags = sqliteTable('tags', { id: integer().primaryKey(), name: text().notNull() })

export const postsTags = sqliteTable(
  'posts_tags',
  { postId: integer('post_id').notNull(), tagId: integer('tag_id').notNull() },
  (table) => [primaryKey({ columns: [table.postId, table.tagId] })],
)

/** One column of every kind that drizzle has for SQLite. */
export const kinds = sqliteTable('kinds', {
  id: integer().primaryKey(),
  ownerId: integer('owner_id'),
  flag: integer({ mode: 'boolean' }),
  seconds: integer({ mode: 'timestamp' }),
  milliseconds: integer({ mode: 'timestamp_ms' }),
  whole: integer(),
  floating: real(),
  plain: text(),
  colour: text({ enum: ['red', 'green'] }),
  doc: text({ mode: 'json' }).$type<{ list: number[]; nested?: { text: string } }>(),
  bytes: blob({ mode: 'buffer' }),
  blobDoc: blob('blob_doc', { mode: 'json' }).$type<{ n: number }>(),
  blobBig: blob('blob_big', { mode: 'bigint' }),
  exact: numeric(),
  exactNumber: numeric('exact_number', { mode: 'number' }),
  exactBig: numeric('exact_big', { mode: 'bigint' }),
})

/** A view that the database has. */
export const names = sqliteView('names', { id: integer(), name: text() }).existing()

/** A view that drizzle writes out as a subquery's definition. */
export const readPosts = sqliteView('read_posts').as((qb) =>
  qb
    .select({ id: posts.id, title: posts.title })
    .from(posts)
    .where(sql`${posts.views} > 0`),
)

export const relations = defineRelations({ users, posts, tags, postsTags, kinds }, (r) => ({
  users: {
    posts: r.many.posts(),
    inviter: r.one.users({ from: r.users.inviterId, to: r.users.id, alias: 'inviter' }),
    invited: r.many.users({ from: r.users.id, to: r.users.inviterId, alias: 'invited' }),
    kinds: r.many.kinds({ from: r.users.id, to: r.kinds.ownerId }),
  },
  posts: {
    author: r.one.users({ from: r.posts.authorId, to: r.users.id, optional: false }),
    tags: r.many.tags({ from: r.posts.id.through(r.postsTags.postId), to: r.tags.id.through(r.postsTags.tagId) }),
  },
  tags: { posts: r.many.posts() },
}))
