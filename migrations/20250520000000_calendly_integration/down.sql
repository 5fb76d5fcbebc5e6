-- Deletes all Calendly-related data. `lockkeeper down` counts the values that are not null first, and refuses unless
-- --allow-data-loss is given.

ALTER TABLE "Booking"
  DROP COLUMN IF EXISTS "calendlyInviteeUri",
  DROP COLUMN IF EXISTS "calendlyEventUri",
  DROP COLUMN IF EXISTS "calendlyEventId";

ALTER TABLE "SessionType"
  DROP COLUMN IF EXISTS "calendlyEventTypeUri",
  DROP COLUMN IF EXISTS "calendlyEventTypeId";
