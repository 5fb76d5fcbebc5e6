-- Calendly columns of the booking platform. Both tables belong to the application (Prisma creates them); the names are
-- quoted because Prisma's are camelCase. Columns that are there already are left as they are, and then checked:
-- see `expect:` in migration.yaml.

ALTER TABLE "SessionType"
  ADD COLUMN IF NOT EXISTS "calendlyEventTypeId" TEXT,
  ADD COLUMN IF NOT EXISTS "calendlyEventTypeUri" TEXT;

ALTER TABLE "Booking"
  ADD COLUMN IF NOT EXISTS "calendlyEventId" TEXT,
  ADD COLUMN IF NOT EXISTS "calendlyEventUri" TEXT,
  ADD COLUMN IF NOT EXISTS "calendlyInviteeUri" TEXT;
